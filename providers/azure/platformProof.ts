import { z } from "zod";
import type { AzureConfig } from "../../agent/providerConfig/azure.ts";
import { azureNonce, type Proof, Proof as ProofForm } from "../../agent/wire/proof.ts";
import { CallFailed } from "../provider.ts";
import { environmentOf } from "./environments.ts";
import type { Metadata } from "./metadata.ts";

/** "Azure Instance Metadata Service", attested data. */
const Document = z.object({ encoding: z.literal("pkcs7"), signature: z.string() });
const Given = z.object({ access_token: z.string() });
/** Read to be compared with the config, never believed. */
const Claims = z.object({ tid: z.string(), oid: z.string() });

/**
 * Has the metadata service say by Azure's signature which machine this is, for the binding's nonce, and whose managed identity it has. The
 * token opens nothing: it is for the exchange of tokens, which no application here takes from this identity unless somebody set one up. It is sent only
 * when it is of the config's tenant and principal.
 */
export async function platformProof(
  metadata: Metadata,
  azure: AzureConfig,
  binding: Uint8Array,
): Promise<Proof | { readonly unreachable: string }> {
  try {
    const attested = await metadata.read("attested/document", {
      "api-version": "2021-02-01",
      nonce: azureNonce(binding),
    });
    const document = Document.safeParse(attested);
    if (!document.success) return { unreachable: "metadata-malformed" };
    const given = Given.safeParse(await metadata.read("identity/oauth2/token", tokenQuery(azure)));
    const token = given.data?.access_token ?? "";
    const fault = identityFault(azure, token);
    if (fault !== null) return { unreachable: fault };
    const proof = ProofForm.safeParse({ platform: "azure", document: document.data.signature, token });
    return proof.success ? proof.data : { unreachable: "metadata-malformed" };
  } catch (error) {
    if (error instanceof CallFailed) return { unreachable: error.status };
    throw error;
  }
}

function tokenQuery(azure: AzureConfig): Readonly<Record<string, string>> {
  const query = { "api-version": "2018-02-01", resource: environmentOf(azure).exchangeAudience };
  return azure.identity === "system" ? query : { ...query, client_id: azure.identity.client };
}

function identityFault({ tenant, principal }: AzureConfig, token: string): string | null {
  const claims = Claims.safeParse(payloadOf(token));
  if (!claims.success) return "metadata-malformed";
  if (claims.data.tid !== tenant) return "identity-tenant";
  return claims.data.oid === principal ? null : "identity-principal";
}

function payloadOf(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
  } catch {
    // No token at all: what stands there is not said.
    return null;
  }
}
