import type { GcpConfig } from "../../agent/providerConfig/gcp.ts";
import { type Proof, Proof as ProofForm, reeveAudience } from "../../agent/wire/proof.ts";
import { CallFailed } from "../provider.ts";
import type { Metadata } from "./metadata.ts";

/**
 * Has the metadata server say by Google's signature which instance this is, to nobody but the one whom the binding names. By the account's own
 * name: the word of another account cannot come. It is good for an hour, and for this enrolment alone.
 */
export async function platformProof(
  metadata: Metadata,
  { account }: Pick<GcpConfig, "account">,
  binding: Uint8Array,
): Promise<Proof | { readonly unreachable: string }> {
  const query = new URLSearchParams({ audience: reeveAudience(binding), format: "full" });
  try {
    const token = await metadata.read(`instance/service-accounts/${account}/identity?${query}`);
    if (token === null) return { unreachable: "no-account" };
    const proof = ProofForm.safeParse({ platform: "gcp", token: token.trim() });
    return proof.success ? proof.data : { unreachable: "metadata-malformed" };
  } catch (error) {
    if (error instanceof CallFailed) return { unreachable: error.status };
    throw error;
  }
}
