import { CLOCK_SKEW_SECONDS, MAX_TOKEN_BYTES, TOKEN_LIFETIME_MAX_SECONDS } from "../limits.ts";
import { namesPrototype, parseCanonical } from "./canonical.ts";
import { decodeUtf8, splitJws } from "./jws.ts";
import { TokenClaims } from "./protocol.ts";

export type TokenContext = {
  readonly cluster: string;
  /** The enrolment address, as the config writes it. */
  readonly url: string;
  /** The config's root digest, lower-case hex, when it has one. */
  readonly sha?: string | undefined;
  /** Unix seconds. */
  readonly now: number;
};
/** `expired`, or `early` (made in this machine's future): nothing else is wrong with it. */
export type TokenFault = {
  readonly fault: string;
  readonly hint: string;
  readonly expired: boolean;
  readonly early: boolean;
};

export const TOKEN_HEADER = '{"alg":"Ed25519","typ":"reeve-join+jwt"}';
const ANOTHER = "Ask the vendor for a new token (`reeve-control token`).";

/**
 * Reads a join token: form, lifetime (at most TOKEN_LIFETIME_MAX_SECONDS) and that it is for this config. The signature is NOT
 * checked: the agent knows nobody yet. The control plane checks it (DESIGN section 4).
 */
export function readToken(text: string, at: TokenContext): TokenClaims | TokenFault {
  const claims = readTokenForm(text);
  if ("fault" in claims) return claims;
  if (claims.sub !== at.cluster)
    return no(
      `the token is for the cluster ${claims.sub}, not ${at.cluster}`,
      `Ask the vendor for a token for ${at.cluster}.`,
    );
  if (claims.url !== at.url)
    return no(
      "the token names another enrolment address than the config",
      "Compare control_plane.enrol with the vendor's address.",
    );
  if (at.sha !== undefined && claims.sha !== at.sha)
    return no(
      "the token names another root CA than the config",
      "Compare control_plane.root_sha256 with the vendor's.",
    );
  if (claims.iat > at.now + CLOCK_SKEW_SECONDS)
    return {
      fault: "the token was made in this machine's future",
      hint: "Set this machine's clock right.",
      expired: false,
      early: true,
    };
  if (claims.exp <= at.now)
    return { fault: `the token expired ${at.now - claims.exp} s ago`, hint: ANOTHER, expired: true, early: false };
  return claims;
}

/** Form and lifetime alone, for both sides. The signature is not checked. */
export function readTokenForm(text: string): TokenClaims | TokenFault {
  if (text.length > MAX_TOKEN_BYTES) return no(`the token is over ${MAX_TOKEN_BYTES} bytes`, ANOTHER);
  const parts = splitJws(text);
  if (parts === null || parts.header !== TOKEN_HEADER) return no("the token is not a join token", ANOTHER);
  const payload = decodeUtf8(parts.payload);
  const read = payload === null ? null : parseCanonical(payload);
  if (read === null || "fault" in read || namesPrototype(read.value))
    return no("the token is not a join token", ANOTHER);
  const claims = TokenClaims.safeParse(read.value);
  if (!claims.success) return no("the token's claims are not those of a join token", ANOTHER);
  const lifetime = claims.data.exp - claims.data.iat;
  if (lifetime <= 0 || lifetime > TOKEN_LIFETIME_MAX_SECONDS)
    return no("the token is meant to live longer than a day, or not at all", ANOTHER);
  return claims.data;
}

function no(fault: string, hint: string): TokenFault {
  return { fault, hint, expired: false, early: false };
}
