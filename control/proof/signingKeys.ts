import { createPublicKey } from "node:crypto";
import { z } from "zod";
import { jsonOf } from "../json.ts";
import type { Answered } from "./ask.ts";

/** An RSA public key (RFC 7518 section 6.3.1). `issuer`: whose tokens alone it signs, where the platform says so. */
export type SigningKey = {
  readonly kid: string;
  readonly n: string;
  readonly e: string;
  readonly issuer: string | null;
};
export type SigningKeys = {
  /** Null: the platform publishes no such key. `unreachable`: it cannot be asked, in our own words. */
  find(kid: string): Promise<SigningKey | null | { readonly unreachable: string }>;
};
type AskKeys = () => Promise<Answered | { readonly unreachable: string }>;

/** Keys older than this are read anew before they are used. */
const FRESH_MS = 3600_000;
/** While the platform cannot be asked, keys that it once published hold for so long: one that it took back is good no longer. */
const HOLD_MS = 6 * 3600_000;
/** A key that is not known has them read anew, but not more often than this, whatever is sent. */
const REREAD_MS = 60_000;
const MAX_KEYS = 64;
const MIN_BITS = 2048;
const MAX_BITS = 4096;

/** What is not used is let be: other kinds of keys stand beside these. */
const Jwks = z.object({ keys: z.array(z.looseObject({ kid: z.string().optional() })).max(MAX_KEYS) });
const Rsa = z.object({
  kty: z.literal("RSA"),
  kid: z.string().min(1).max(256),
  use: z.literal("sig").optional(),
  alg: z.literal("RS256").optional(),
  n: z.string().regex(/^[A-Za-z0-9_-]{1,1024}$/),
  /** 65537. */
  e: z.literal("AQAB"),
  issuer: z.string().optional(),
});

type Held = { readonly keys: ReadonlyMap<string, SigningKey>; readonly at: number };

/** Keys as a platform publishes them (RFC 7517). `now`: milliseconds that only rise. One call at a time asks; all who wait have its answer. */
export function signingKeys(ask: AskKeys, now: () => number): SigningKeys {
  let held: Held | null = null;
  let askedAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<string | null> | null = null;

  /** Null, or why they could not be read. */
  const read = async (): Promise<string | null> => {
    askedAt = now();
    const answer = await ask();
    if ("unreachable" in answer) return answer.unreachable;
    if (answer.status !== 200) return `it answers ${answer.status}`;
    const keys = keysIn(answer.body);
    if (keys === null) return "what it answers is no set of keys";
    held = { keys, at: askedAt };
    return null;
  };
  const reread = (): Promise<string | null> => {
    asking ??= read().finally(() => {
      asking = null;
    });
    return asking;
  };
  const known = (): Held | null => (held !== null && now() - held.at < HOLD_MS ? held : null);

  return {
    async find(kid) {
      const before = known();
      const fresh = before !== null && now() - before.at < FRESH_MS;
      if (fresh && before.keys.has(kid)) return before.keys.get(kid) ?? null;
      const mayAsk = asking !== null || now() - askedAt >= REREAD_MS;
      const fault = mayAsk ? await reread() : "it was asked a moment ago";
      const after = known();
      if (after === null) return { unreachable: fault ?? "it publishes no keys" };
      return after.keys.get(kid) ?? null;
    },
  };
}

/** The keys of a JWK Set that can be used; null for what is none. Two under one name are both none: which was meant cannot be known. */
export function keysIn(text: string): ReadonlyMap<string, SigningKey> | null {
  const set = Jwks.safeParse(jsonOf(text));
  if (!set.success) return null;
  const names = set.data.keys.map(({ kid }) => kid);
  const keys = new Map<string, SigningKey>();
  for (const candidate of set.data.keys) {
    const key = Rsa.safeParse(candidate);
    if (!key.success || names.filter((name) => name === key.data.kid).length > 1 || !isStrong(key.data)) continue;
    const { kid, n, e, issuer } = key.data;
    keys.set(kid, { kid, n, e, issuer: issuer ?? null });
  }
  return keys;
}

function isStrong({ n, e }: { readonly n: string; readonly e: string }): boolean {
  try {
    const bits = createPublicKey({ key: { kty: "RSA", n, e }, format: "jwk" }).asymmetricKeyDetails?.modulusLength ?? 0;
    return bits >= MIN_BITS && bits <= MAX_BITS;
  } catch {
    // Whatever the numbers are, they are no RSA key.
    return false;
  }
}
