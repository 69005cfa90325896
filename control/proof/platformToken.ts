import { compactVerify } from "jose";
import { z } from "zod";
import { CLOCK_SKEW_SECONDS } from "../../agent/limits.ts";
import { decodeUtf8, splitJws } from "../../agent/wire/jws.ts";
import { jsonOf } from "../json.ts";
import type { SigningKey, SigningKeys } from "./signingKeys.ts";

/** One algorithm, whatever a token says that it is: `none` and keyed digests are no signatures. `crit` is nothing that we understand (RFC 7515 section 4.1.11). */
const Header = z.object({ alg: z.literal("RS256"), kid: z.string().min(1).max(256), crit: z.never().optional() });
/** RFC 7519 section 4.1. */
const Times = z.object({
  exp: z.number().int().positive(),
  iat: z.number().int().positive(),
  nbf: z.number().int().positive().optional(),
});

/** `claims`: what the platform said, by the key that it was said with. `invalid`, `unreachable`: in our own words. */
export type TokenWords =
  | { readonly claims: unknown; readonly key: SigningKey }
  | { readonly invalid: string }
  | { readonly unreachable: string };

/**
 * A platform's token (RFC 7519), signed by RS256 with a key that the platform publishes, and valid at `nowSeconds`. What it claims beside
 * its times is for the caller to judge. Nothing in it is looked at before its signature but the header.
 */
export async function readPlatformToken(token: string, keys: SigningKeys, nowSeconds: number): Promise<TokenWords> {
  const parts = splitJws(token);
  const header = Header.safeParse(parts === null ? null : jsonOf(parts.header));
  if (!header.success) return { invalid: "its token is not one that is signed by RS256" };
  const key = await keys.find(header.data.kid);
  if (key === null) return { invalid: "its token is signed by a key that the platform does not publish" };
  if ("unreachable" in key) return key;
  const payload = await payloadSignedBy(token, key);
  if (payload === null) return { invalid: "its token's signature is wrong" };
  const claims = jsonOf(decodeUtf8(payload) ?? "");
  const times = Times.safeParse(claims);
  if (!times.success) return { invalid: "its token does not say from when and until when it holds" };
  const { exp, iat, nbf } = times.data;
  if (exp <= nowSeconds) return { invalid: "its token has expired" };
  if (Math.max(iat, nbf ?? 0) > nowSeconds + CLOCK_SKEW_SECONDS) return { invalid: "its token is not yet valid" };
  return { claims, key };
}

async function payloadSignedBy(token: string, { n, e }: SigningKey): Promise<Uint8Array | null> {
  try {
    return (await compactVerify(token, { kty: "RSA", n, e, alg: "RS256" }, { algorithms: ["RS256"] })).payload;
  } catch {
    // Whatever it is that does not fit, this key did not sign it.
    return null;
  }
}
