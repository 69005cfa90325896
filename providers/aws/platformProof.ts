import { type Proof, STS } from "../../agent/wire/proof.ts";
import { CallFailed } from "../provider.ts";
import type { AwsContext } from "./call.ts";
import { DOMAIN } from "./endpoints.ts";
import { signedForSts } from "./sign.ts";

/** In place of a command's id: for the credentials' own proof. */
const ERRAND = "platform-proof";

/**
 * GetCallerIdentity, signed by the role's credentials over the binding, and sent to nobody: the control plane makes the same request and asks
 * STS whose signature it is. The signature is good for that one call alone, and for some minutes.
 */
export async function platformProof(
  { aws, credentials, host }: Pick<AwsContext, "aws" | "credentials" | "host">,
  binding: Uint8Array,
): Promise<Proof | { readonly unreachable: string }> {
  try {
    const given = await credentials.current(ERRAND);
    const { region } = aws;
    // Public, whatever endpoint the config has for our own calls: who asks is not in this network.
    const hostname = `sts.${region}.${DOMAIN[aws.partition]}`;
    const headers = {
      "content-type": STS.contentType,
      [STS.bindingHeader]: Buffer.from(binding).toString("hex"),
    };
    const request = { method: STS.method, hostname, path: STS.path, headers, body: STS.body };
    const signed = await signedForSts(request, { region, credentials: given, now: host.clock.now() });
    const { "x-amz-date": date = "", authorization = "" } = signed;
    return { platform: "aws", region, date, session: given.sessionToken, authorization };
  } catch (error) {
    if (error instanceof CallFailed) return { unreachable: error.status };
    throw error;
  }
}
