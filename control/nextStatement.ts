import { TrustClaims } from "../agent/wire/protocol.ts";
import type { NamedKey } from "./publicKey.ts";
import { rootDigest } from "./roots.ts";
import { Complaint } from "./terminal.ts";

/** What the next statement names beyond the one before, and what it names no more. Roots to add are DER in base64, roots to drop SHA-256 in hex. */
export type Change = {
  readonly addKeys: readonly NamedKey[];
  readonly dropKeys: readonly string[];
  readonly addRoots: readonly string[];
  readonly dropRoots: readonly string[];
  readonly addWitnesses: readonly NamedKey[];
  readonly dropWitnesses: readonly string[];
};
export type Standing = {
  readonly cluster: string;
  /** All statements so far, oldest first; at least one. */
  readonly history: readonly TrustClaims[];
  /** DER in base64 of the root that the control plane shows to agents. */
  readonly rootInUse: string;
  /** Public key by which tokens are signed: it is never a command or witness key. */
  readonly tokenKey: string;
};

export function isEmpty(change: Change): boolean {
  return Object.values(change).every((list) => list.length === 0);
}

/** Whether the newest statement is so already: all that is to be added is named, all that is to be dropped was, and is not any more. */
export function isSo(change: Change, history: readonly TrustClaims[]): boolean {
  const newest = history.at(-1);
  if (newest === undefined || isEmpty(change)) return false;
  const keysAreSo = (field: "command_keys" | "witness_keys", adds: readonly NamedKey[], drops: readonly string[]) =>
    adds.every((key) => newest[field].some((one) => one.kid === key.kid && one.x === key.x)) &&
    drops.every((kid) =>
      wasDropped(
        history.map((claims) => claims[field].map((one) => one.kid)),
        kid,
      ),
    );
  return (
    keysAreSo("command_keys", change.addKeys, change.dropKeys) &&
    keysAreSo("witness_keys", change.addWitnesses, change.dropWitnesses) &&
    change.addRoots.every((root) => newest.roots.includes(root)) &&
    change.dropRoots.every((root) =>
      wasDropped(
        history.map((claims) => claims.roots.map(rootDigest)),
        root,
      ),
    )
  );
}

function wasDropped(history: readonly (readonly string[])[], name: string): boolean {
  return history.some((names) => names.includes(name)) && history.at(-1)?.includes(name) === false;
}

/** The claims of the next statement: pure. Throws a Complaint that says what speaks against the change. */
export function nextClaims(at: Standing, change: Change, iat: number): TrustClaims {
  const before = at.history.at(-1);
  if (before === undefined) throw new Error("there is no statement to follow");
  const version = before.version + 1;
  const no = (because: string, hint: string): never => {
    throw new Complaint(1, `sign trust statement ${version} of ${at.cluster}`, because, hint);
  };
  if (isEmpty(change))
    no("it would name no change", "Say what to add or drop; see `reeve-control keys rotate --help`.");
  const claims = {
    ...before,
    version,
    iat,
    command_keys: keysAfter(at, "command", change, no),
    witness_keys: keysAfter(at, "witness", change, no),
    roots: rootsAfter(at, change, no),
  };
  strangersOnly(claims, at, no);
  const checked = TrustClaims.safeParse(claims);
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0];
  return no(
    `${issue?.path.map(String).join(".") ?? "it"} is beyond what a statement can hold (${issue?.message ?? "?"})`,
    "At most 16 command keys, 16 witness keys and 8 roots: drop one first.",
  );
}

type No = (because: string, hint: string) => never;

function keysAfter(at: Standing, kind: "command" | "witness", change: Change, no: No): NamedKey[] {
  const field = kind === "command" ? "command_keys" : "witness_keys";
  const [adds, drops] =
    kind === "command" ? [change.addKeys, change.dropKeys] : [change.addWitnesses, change.dropWitnesses];
  const named = at.history.at(-1)?.[field] ?? [];
  for (const [index, kid] of drops.entries()) {
    if (drops.indexOf(kid) !== index) no(`the ${kind} key ${kid} is to be dropped twice`, "Say it once.");
    if (!named.some((key) => key.kid === kid))
      no(`the statement before names no ${kind} key ${kid}`, `It names ${kids(named)}.`);
  }
  const after = named.filter((key) => !drops.includes(key.kid));
  for (const key of adds) {
    const before = at.history.flatMap((claims) => claims[field]);
    if (after.some((one) => one.kid === key.kid) || drops.includes(key.kid))
      no(`it would name the ${kind} key ${key.kid} twice`, "Give the new key a name of its own.");
    if (after.some((one) => one.x === key.x))
      no(`the key ${key.kid} is one that it names already, under another name`, "Name each key once.");
    // A name in an old log entry always means the same key, and what was dropped, perhaps because it was stolen, stays dropped.
    if (before.some((one) => one.kid === key.kid))
      no(`an earlier statement named a ${kind} key ${key.kid}, which was dropped`, "Make a new key, under a new name.");
    if (before.some((one) => one.x === key.x))
      no(`the key ${key.kid} was dropped by an earlier statement, under another name`, "Make a new key.");
    after.push({ kid: key.kid, x: key.x });
  }
  if (kind === "command" && after.length === 0)
    no(
      "it would drop the last command key",
      "Add another in the same statement, or before: nobody could sign the next one.",
    );
  return after;
}

function kids(keys: readonly NamedKey[]): string {
  return keys.map((key) => key.kid).join(", ") || "none";
}

function rootsAfter(at: Standing, change: Change, no: No): string[] {
  const named = at.history.at(-1)?.roots ?? [];
  const known = named.map(rootDigest);
  for (const root of change.dropRoots)
    if (!known.includes(root)) no(`the statement before names no root ${root}`, `It names ${known.join(", ")}.`);
  const after = named.filter((root) => !change.dropRoots.includes(rootDigest(root)));
  for (const root of change.addRoots) {
    if (after.includes(root)) no(`it would name the root ${rootDigest(root)} twice`, "Name each root once.");
    if (at.history.some((claims) => claims.roots.includes(root)))
      no(`the root ${rootDigest(root)} was dropped`, "Make a new one: `reeve-control ca new-root`.");
    after.push(root);
  }
  if (!after.includes(at.rootInUse))
    no(
      `it would not name the root that this control plane uses (${rootDigest(at.rootInUse)}), so its agents could not reach it`,
      "Switch first: `reeve-control ca use-root`, and restart `serve`.",
    );
  return after;
}

/** Each key has one use, for good: a token key, a command key and a witness key are never the same, also not one after the other. */
function strangersOnly(claims: Pick<TrustClaims, "command_keys" | "witness_keys">, at: Standing, no: No): void {
  const all = [...at.history, claims];
  const command = new Set(all.flatMap((one) => one.command_keys.map((key) => key.x)));
  for (const key of [...claims.command_keys, ...claims.witness_keys])
    if (key.x === at.tokenKey) no(`the key ${key.kid} is the one that signs join tokens`, "Make a key of its own.");
  for (const key of all.flatMap((one) => one.witness_keys))
    if (command.has(key.x))
      no(`the key ${key.kid} would be a witness's and a command key`, "A witness has a key of its own.");
}
