import { createHash } from "node:crypto";
import { type Refusal, refuse } from "../../policy/refusal.ts";
import { MAX_COMMAND_BYTES } from "../limits.ts";
import { decodeUtf8, signedBy, splitJws } from "./jws.ts";

declare const signed: unique symbol;
/** Bytes that a command key of the trust statement signed. Only `open` makes one. */
export type Signed = {
  /** The compact JWS. */
  readonly text: string;
  /** `sha256:` and lower-case hex, over the compact JWS's bytes. */
  readonly digest: string;
  readonly kid: string;
  /** Not looked at yet. */
  readonly payload: string;
  readonly [signed]: true;
};

/** The protected header, byte for byte (RFC 9864 names the algorithm `Ed25519`): no room for crit, b64, jwk, another alg or typ. */
const HEADER = /^\{"alg":"Ed25519","kid":"([A-Za-z0-9._-]{1,64})","typ":"reeve-command\+jwt"\}$/;
const CANNOT = "open a command";

/**
 * DESIGN section 3, open: pure. `keys` holds Ed25519 public keys (`x`, base64url) by kid.
 * Refuses open.too-long (over MAX_COMMAND_BYTES), open.form, open.header, open.key, open.signature; parse.not-canonical for
 * signed bytes that are no UTF-8. Size, form, header and signature come before the payload.
 */
export async function open(text: string, keys: ReadonlyMap<string, string>): Promise<Signed | Refusal> {
  if (text.length > MAX_COMMAND_BYTES)
    return no("open.too-long", `it is over ${MAX_COMMAND_BYTES} bytes`, "Send a smaller command.");
  const parts = splitJws(text);
  if (parts === null) return no("open.form", "it is not one compact JWS", "Sign it with `reeve-control send`.");
  const kid = HEADER.exec(parts.header)?.[1];
  if (kid === undefined)
    return no("open.header", "its protected header is not the one of a command", "Sign it with `reeve-control send`.");
  const key = keys.get(kid);
  if (key === undefined)
    return no(
      "open.key",
      `the trust statement names no key ${kid}`,
      "Sign it with a command key that the cluster trusts.",
    );
  if (!(await signedBy(text, key)))
    return no("open.signature", `the key ${kid} did not sign it`, "Sign it with the key that its header names.");
  const payload = decodeUtf8(parts.payload);
  if (payload === null) return no("parse.not-canonical", "its payload is not UTF-8", "Send canonical JSON (RFC 8785).");
  return { text, digest: digestOf(text), kid, payload } as Signed;
}

/** `sha256:…` over bytes, of a text over its UTF-8: how commands, policies and the config are named in the log. */
export function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function no(code: Refusal["code"], because: string, hint: string): Refusal {
  return refuse(code, CANNOT, because, hint);
}
