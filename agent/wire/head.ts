import { createPublicKey, verify } from "node:crypto";
import { z } from "zod";
import { MAX_HEAD_BYTES } from "../limits.ts";
import { canonical, type Json, namesPrototype, parseCanonical } from "./canonical.ts";
import { decodeUtf8, splitJws } from "./jws.ts";
import { ClusterName, CommandId, logOrigin } from "./names.ts";
import { checkChain } from "./x509.ts";

/**
 * `log/head` of the owner's bucket (DESIGN section 5): what the next machine must know of this one, and what tells two agents apart.
 * A JWS (RFC 7515) by the agent's certificate's key, its chain in `x5c`; ES256 (RFC 7518 section 3.4).
 */
const Milliseconds = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const Claims = z.strictObject({
  v: z.literal(1),
  cluster: ClusterName,
  epoch: z.number().int().min(1),
  /** By the writer's clock, since 1970. */
  time: Milliseconds,
  /** Entries of the log, and its newest signed head. */
  size: z.number().int().min(0),
  checkpoint: z.string().max(64 * 1024),
  /** The highest revision of a policy that the log has seen. */
  revision: z.number().int().min(0),
  /** By rule: the times of this epoch's intents, milliseconds, as far back as the longest window of a rate; and those of the epochs before. */
  intents: z.record(z.string().min(1).max(128), z.array(Milliseconds)),
  before: z.record(z.string().min(1).max(128), z.array(Milliseconds)),
  /** All intents from then on are in the two; null: since the first epoch began. */
  since: Milliseconds.nullable(),
  /** Commands that wait for people. */
  waiting: z.array(CommandId).max(64),
});
export type HeadClaims = z.infer<typeof Claims>;

const Header = z.strictObject({
  alg: z.literal("ES256"),
  typ: z.literal("reeve-head+jwt"),
  x5c: z.array(z.base64()).min(2).max(4),
});

function part(text: string): string {
  return Buffer.from(text).toString("base64url");
}

/** `sign`: ECDSA P-256 over SHA-256, IEEE P1363, by the leaf's key. `chain`: base64 DER, leaf first, root last. */
export function signHead(
  claims: HeadClaims,
  chain: readonly string[],
  sign: (bytes: Uint8Array) => Uint8Array,
): string {
  const header = canonical({ alg: "ES256", typ: "reeve-head+jwt", x5c: [...chain] });
  const signed = `${part(header)}.${part(canonical(claims as unknown as Json))}`;
  return `${signed}.${Buffer.from(sign(new TextEncoder().encode(signed))).toString("base64url")}`;
}

/**
 * What the head of this cluster says, by the agent that the roots (DER) vouch for: of any epoch, by a certificate that was valid at the head's
 * own time. Else a short reason why it is none.
 */
export function openHead(
  text: string,
  at: { readonly agentId: string; readonly cluster: string; readonly roots: readonly Uint8Array[] },
): { readonly head: HeadClaims } | { readonly bad: string } {
  if (text.length > MAX_HEAD_BYTES) return { bad: "it is too long" };
  const parts = splitJws(text);
  const header = parts === null ? null : Header.safeParse(jsonOf(parts.header));
  if (parts === null || header?.success !== true) return { bad: "it is no head" };
  const payload = decodeUtf8(parts.payload);
  const parsed = payload === null ? { fault: "utf-8" } : parseCanonical(payload);
  const claims = "value" in parsed && !namesPrototype(parsed.value) ? Claims.safeParse(parsed.value) : null;
  if (claims?.success !== true) return { bad: "its words are none that a head has" };
  const chain = header.data.x5c.map((der) => new Uint8Array(Buffer.from(der, "base64")));
  const checked = checkChain(chain, at.roots, claims.data.time);
  if ("bad" in checked) return { bad: `its certificate: ${checked.bad}` };
  if (checked.leaf.uri !== at.agentId || claims.data.cluster !== at.cluster) return { bad: "it is another cluster's" };
  const key = createPublicKey({ key: Buffer.from(checked.leaf.spki), format: "der", type: "spki" });
  const signed = Buffer.from(text.slice(0, text.lastIndexOf(".")));
  if (key.asymmetricKeyType !== "ec" || !verify("sha256", signed, { key, dsaEncoding: "ieee-p1363" }, parts.signature))
    return { bad: "its signature does not hold" };
  const [origin = "", size = ""] = claims.data.checkpoint.split("\n");
  if (origin !== logOrigin(at.agentId, claims.data.epoch) || Number(size) > claims.data.size)
    return { bad: "its checkpoint is another log's" };
  return { head: claims.data };
}

function jsonOf(text: string): unknown {
  const parsed = parseCanonical(text);
  return "value" in parsed ? parsed.value : null;
}
