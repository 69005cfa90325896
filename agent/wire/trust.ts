import { calculateJwkThumbprint } from "jose";
import { type Refusal, type RefusalCode, refuse } from "../../policy/refusal.ts";
import { MAX_TRUST_BYTES } from "../limits.ts";
import { namesPrototype, parseCanonical } from "./canonical.ts";
import { decodeUtf8, signedBy, splitJws } from "./jws.ts";
import { TrustClaims } from "./protocol.ts";

const HEADER =
  /^\{"alg":"Ed25519","jwk":\{"crv":"Ed25519","kty":"OKP","x":"([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])"\},"typ":"reeve-trust\+jwt"\}$/;

export type TrustContext = {
  readonly cluster: string;
  readonly trustDomain: string;
  /** The statement in force; null before the first. */
  readonly before: TrustClaims | null;
  /** RFC 7638 thumbprint of the first statement's signer, from the config. */
  readonly pin: string;
};

/**
 * Judges the next trust statement (DESIGN section 4): pure. The signer is the pinned key for version 1, a command key of the
 * statement before for every other; versions rise by one. Refuses trust.signature, trust.version, verify.audience,
 * verify.issuer, parse.not-canonical, parse.claims.
 */
export async function checkTrust(jws: string, at: TrustContext): Promise<TrustClaims | Refusal> {
  if (jws.length > MAX_TRUST_BYTES) return no("trust.signature", `it is over ${MAX_TRUST_BYTES} bytes`);
  const parts = splitJws(jws);
  const x = parts === null ? undefined : HEADER.exec(parts.header)?.[1];
  if (parts === null || x === undefined)
    return no("trust.signature", "its form or header is not the one of a trust statement");
  if (!(await maySign(x, at)))
    return no(
      "trust.signature",
      at.before === null
        ? "its key is not the one that the config pins"
        : "its key is not a command key of the statement before",
    );
  if (!(await signedBy(jws, x))) return no("trust.signature", "its signature is not by the key that it names");
  const claims = readClaims(parts.payload);
  if (typeof claims === "string") return no(claims, "its payload is not the one of a trust statement");
  if (claims.aud !== at.cluster) return no("verify.audience", "it is for another cluster");
  if (claims.iss !== at.trustDomain) return no("verify.issuer", "it is of another trust domain");
  const next = (at.before?.version ?? 0) + 1;
  if (claims.version !== next) return no("trust.version", `its version is ${claims.version}, and ${next} is next`);
  return claims;
}

async function maySign(x: string, at: TrustContext): Promise<boolean> {
  if (at.before !== null) return at.before.command_keys.some((key) => key.x === x);
  return (await thumbprint(x)) === at.pin;
}

/** RFC 7638 thumbprint (SHA-256, base64url) of an Ed25519 public key (RFC 8037 appendix A.3). */
export function thumbprint(x: string): Promise<string> {
  return calculateJwkThumbprint({ kty: "OKP", crv: "Ed25519", x }, "sha256");
}

function readClaims(payload: Uint8Array): TrustClaims | RefusalCode {
  const text = decodeUtf8(payload);
  if (text === null) return "parse.not-canonical";
  const read = parseCanonical(text);
  if ("fault" in read) return read.fault;
  const claims = TrustClaims.safeParse(read.value);
  return claims.success && !namesPrototype(read.value) ? claims.data : "parse.claims";
}

function no(code: RefusalCode, because: string): Refusal {
  // Only a signature is a matter of the pin; what is rightly signed and does not fit is the vendor's to explain.
  const hint =
    code === "trust.signature"
      ? "Ask the vendor; compare control_plane.trust_sha256 with what the vendor published."
      : "Ask the vendor why this statement is handed out; the one in force goes on.";
  return refuse(code, "take a trust statement", because, hint);
}
