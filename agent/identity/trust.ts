import { createHash } from "node:crypto";
import { isRefusal, type Refusal, refuse } from "../../policy/refusal.ts";
import { MAX_TRUST_CHAIN_BYTES, MAX_TRUST_STATEMENTS } from "../limits.ts";
import type { TrustClaims } from "../wire/protocol.ts";
import { checkTrust } from "../wire/trust.ts";
import type { Successor, TrustAccepted } from "./identity.ts";

/** What the statements are judged against; from the config and the certificate, never from an answer. */
export type TrustPlace = { readonly cluster: string; readonly trustDomain: string; readonly pin: string };

/** The statements in force: `newest` is complete, what it does not name stops at once. Null before the first. */
export type Trust = { readonly statements: readonly string[]; readonly newest: TrustClaims | null };

/** Walks statements from the pin on, all at once: what a new machine does, and each start over what it stored. */
export async function walkTrust(statements: readonly string[], place: TrustPlace): Promise<Trust | Refusal> {
  let newest: TrustClaims | null = null;
  for (const statement of statements) {
    const claims: TrustClaims | Refusal = await checkTrust(statement, { ...place, before: newest });
    if (isRefusal(claims)) return claims;
    newest = claims;
  }
  return { statements, newest };
}

/** Who says yes to a later statement: the version before alone (`automatic`), or the owner too. */
export type Rotation = "automatic" | ((statement: Successor) => boolean);

/**
 * Takes newer statements in order, until one is refused or waits. The first is taken by the pin; a later one, signed as it must be,
 * still waits for the owner unless `rotation` is "automatic". `keep` makes the new state durable before it counts.
 */
export async function extendTrust(
  trust: Trust,
  statements: readonly string[],
  place: TrustPlace,
  rotation: Rotation,
  keep: (trust: Trust) => void,
): Promise<TrustAccepted> {
  let state = trust;
  const accepted: { version: number; digest: string; keys: string[] }[] = [];
  for (const statement of statements) {
    if (state.statements.includes(statement)) continue;
    const digest = digestOf(statement);
    const claims = await checkTrust(statement, { ...place, before: state.newest });
    if (isRefusal(claims))
      return { accepted, refused: { refusal: claims, digest, bytes: Buffer.byteLength(statement) } };
    if (state.newest !== null && rotation !== "automatic") {
      const changes = changesOf(state.newest, claims);
      if (!rotation({ version: claims.version, digest, statement, changes })) return { accepted, refused: null };
    }
    const longer = [...state.statements, statement];
    if (longer.length > MAX_TRUST_STATEMENTS || longer.join("").length > MAX_TRUST_CHAIN_BYTES) {
      const refusal = tooMany(claims.version);
      return { accepted, refused: { refusal, digest, bytes: Buffer.byteLength(statement) } };
    }
    state = { statements: longer, newest: claims };
    keep(state);
    accepted.push({ version: claims.version, digest, keys: claims.command_keys.map((key) => key.kid) });
  }
  return { accepted, refused: null };
}

/** What is stored must be read again at the next start: a longer chain would end this identity. */
function tooMany(version: number): Refusal {
  return refuse(
    "trust.too-many",
    `take trust statement ${version}`,
    "the chain of statements would be longer than this agent keeps",
    "It goes on under the statement that it has. Ask the vendor why so many were signed.",
  );
}

/** What a statement adds and drops beside the one in force, in words for whoever approves it. */
function changesOf(before: TrustClaims, after: TrustClaims): string[] {
  const root = (der: string): string => `root ${createHash("sha256").update(Buffer.from(der, "base64")).digest("hex")}`;
  const key = (what: string) => (one: { kid: string; x: string }) => `${what} ${one.kid} (${one.x})`;
  const named = (claims: TrustClaims): string[] => [
    ...claims.command_keys.map(key("command key")),
    ...claims.roots.map(root),
    ...claims.witness_keys.map(key("witness key")),
  ];
  const [old, fresh] = [named(before), named(after)];
  return [
    ...fresh.filter((one) => !old.includes(one)).map((one) => `adds ${one}`),
    ...old.filter((one) => !fresh.includes(one)).map((one) => `drops ${one}`),
  ];
}

/** The statement in force, as its entry names it. */
export function newestOf({ newest, statements }: Trust): { version: number; digest: string; keys: string[] } | null {
  const statement = statements.at(-1);
  if (newest === null || statement === undefined) return null;
  return { version: newest.version, digest: digestOf(statement), keys: newest.command_keys.map((key) => key.kid) };
}

function digestOf(statement: string): string {
  return `sha256:${createHash("sha256").update(statement).digest("hex")}`;
}

export function commandKeysOf(trust: Trust): ReadonlyMap<string, string> {
  return new Map(trust.newest?.command_keys.map((key) => [key.kid, key.x]) ?? []);
}

export function witnessKeysOf(trust: Trust): ReadonlyMap<string, string> {
  return new Map(trust.newest?.witness_keys.map((key) => [key.kid, key.x]) ?? []);
}

/** DER of the roots in force; the pinned one until a statement names them. */
export function rootsOf(trust: Trust, pinned: Uint8Array): readonly Uint8Array[] {
  return trust.newest === null
    ? [pinned]
    : trust.newest.roots.map((root) => new Uint8Array(Buffer.from(root, "base64")));
}
