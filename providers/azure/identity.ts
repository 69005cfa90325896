import { z } from "zod";
import type { AzureConfig } from "../../agent/providerConfig/azure.ts";
import type { OwnMachine } from "./own.ts";

/** What a token says of itself. It is read to be compared, never believed: Azure checks it at each call. */
const Claims = z.object({
  aud: z.string(),
  tid: z.string(),
  oid: z.string(),
  appid: z.string(),
});
export type Claims = z.infer<typeof Claims>;

/** The payload of a JWS in compact form (RFC 7515 section 3.1); null for anything else. */
export function claimsOf(token: string): Claims | null {
  const [, payload, signature, ...more] = token.split(".");
  if (payload === undefined || signature === undefined || more.length > 0) return null;
  try {
    return Claims.safeParse(JSON.parse(Buffer.from(payload, "base64url").toString("utf8"))).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

export type IdentityFault = {
  readonly status: `identity-${"unclear" | "audience" | "tenant" | "principal" | "client" | "subscription"}`;
  readonly words: string;
};

/** A token and the machine that it was given to, held to the config; null when they are the config's. */
export function identityFault(
  azure: AzureConfig,
  claims: Claims | null,
  audience: string,
  machine: OwnMachine,
): IdentityFault | null {
  if (claims === null) return { status: "identity-unclear", words: "the token does not say whose it is" };
  const wanted = azure.identity === "system" ? null : azure.identity.client;
  const rows = [
    ["audience", claims.aud.replace(/\/$/, ""), audience.replace(/\/$/, "")],
    ["tenant", claims.tid, azure.tenant],
    ["principal", claims.oid, azure.principal],
    ["client", claims.appid, wanted ?? claims.appid],
    ["subscription", machine.subscription, azure.subscription],
  ] as const;
  const other = rows.find(([, found, named]) => found !== named);
  if (other === undefined) return null;
  const [what, found, named] = other;
  return { status: `identity-${what}`, words: `the ${what} is ${found.slice(0, 64)}, the config names ${named}` };
}
