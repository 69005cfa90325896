import { createHash } from "node:crypto";
import { timeText } from "../../policy/duration.ts";
import type { Entry } from "../audit/entry.ts";
import { type Approvable, kindOfApprovalId } from "../wire/approval.ts";
import { CommandClaims } from "../wire/command.ts";
import { digestOf } from "../wire/envelope.ts";
import { TrustClaims } from "../wire/protocol.ts";

type WaitingEntry = Extract<Entry, { kind: "waiting" }>;
/** What a log says of one thing that waits. `ended`: in words, when it waits no more. `until`: unix seconds; null for ever. */
export type Found = {
  readonly what: Approvable;
  readonly cluster: string;
  readonly title: string;
  /** Name and value, for the eye: all that is signed, and what the agent recorded beside it. */
  readonly facts: readonly (readonly [string, string])[];
  readonly until: number | null;
  readonly approved: readonly string[];
  readonly ended: string | null;
};

/**
 * Looks for what waits under `id` in a log's entries: pure. The command itself is read out of its signed bytes, whose digest is made
 * anew, so that entries which came by any path cannot show another command than the one that is approved. Null when nothing has this id.
 */
export function findApprovable(entries: Iterable<Entry>, id: string): Found | { readonly bad: string } | null {
  const kind = kindOfApprovalId(id);
  let found: Found | { readonly bad: string } | null = null;
  let ended: string | null = null;
  const approved = new Map<string, string>();
  for (const entry of entries) {
    const begins = kind === null ? null : beginsAs(entry, id, kind);
    if (begins !== null) {
      found = begins;
      ended = null;
      approved.clear();
    }
    ended = endsAs(entry, id) ?? ended;
    if (entry.kind === "approval" && entry.approves === id && entry.code === null && entry.person !== null)
      approved.set(entry.person, entry.person);
  }
  return found === null || "bad" in found ? found : { ...found, ended, approved: [...approved.values()] };
}

function beginsAs(entry: Entry, id: string, kind: Approvable["kind"]): Found | { readonly bad: string } | null {
  if (kind === "command" && entry.kind === "waiting" && entry.command === id) return commandFound(entry);
  if (kind === "trust" && entry.kind === "trust-waiting" && id === `trust-${entry.version}`) return trustFound(entry);
  if (kind === "fencing" && entry.kind === "fenced" && id === `fencing-${entry.epoch}`) return fencingFound(entry);
  return null;
}

/** What an entry says against approving; null when it says nothing. */
function endsAs(entry: Entry, id: string): string | null {
  if (entry.kind === "intent" && entry.command === id) return `it was approved and begun in entry ${entry.index}`;
  if (entry.kind === "refused" && entry.command === id && entry.first === null)
    return `it was refused in entry ${entry.index}: ${entry.because} (${entry.code})`;
  if (entry.kind === "trust" && id === `trust-${entry.version}`) return `it is in force since entry ${entry.index}`;
  if (entry.kind === "unfenced" && id === `fencing-${entry.epoch}`) return `it was ended in entry ${entry.index}`;
  return null;
}

const common = { approved: [], ended: null } as const;

function commandFound(entry: WaitingEntry): Found | { readonly bad: string } {
  if (digestOf(entry.signed) !== entry.digest)
    return { bad: "the entry's digest is not the one of the command that it holds" };
  const claims = CommandClaims.safeParse(payloadOf(entry.signed));
  if (!claims.success || claims.data.jti !== entry.command)
    return { bad: "the entry does not hold the command that it names" };
  const { action, args, aud, by, why, exp } = claims.data;
  const { need, by: people } = entry.approval;
  return {
    ...common,
    what: { kind: "command", id: entry.command, digest: entry.digest },
    cluster: entry.cluster,
    title: `${entry.cluster} is asked to ${action}`,
    facts: [
      ["action", action],
      ["resource", entry.resource],
      ...(action === "deploy" ? deployed(args.manifest, entry.found) : []),
      ["found", words(entry.found)],
      ["asked", words(args)],
      ["rule", entry.sentence],
      ["needs", `${need} of ${people.join(", ")}`],
      ["asks", `${by} (the vendor's word), key ${entry.by.key}`],
      ["why", `${why} (the vendor's word)`],
      ["for", `${aud}, epoch ${claims.data.epoch}`],
      ["expires", timeText(exp * 1000)],
      ["waits", `since ${entry.time}, entry ${entry.index}, policy ${entry.allowed.policy}`],
      ["digest", entry.digest],
      [
        "note",
        "action, asked, why, for and expires are read out of the signed command; the rest is the agent's record",
      ],
    ],
    until: entry.until,
  };
}

/** What is deployed: the digest is the signed command's, and what it stands for was read by the agent. */
function deployed(manifest: string, found: WaitingEntry["found"]): readonly (readonly [string, string])[] {
  const text = (name: string): string => {
    const value = found[name] ?? null;
    return Array.isArray(value) ? value.join(", ") || "nobody" : String(value ?? "not known");
  };
  return [
    ["manifest", manifest],
    ["version", text("version")],
    ["signed by", text("signed_by")],
    ["image", `from ${text("image")} to ${text("to")}`],
  ];
}

function trustFound(entry: Extract<Entry, { kind: "trust-waiting" }>): Found | { readonly bad: string } {
  if (digestOf(entry.statement) !== entry.digest)
    return { bad: "the entry's digest is not the one of the statement that it holds" };
  const claims = TrustClaims.safeParse(payloadOf(entry.statement));
  if (!claims.success || claims.data.version !== entry.version)
    return { bad: "the entry does not hold the statement that it names" };
  const { version, iss, roots, command_keys, witness_keys } = claims.data;
  const sha = (der: string): string => createHash("sha256").update(Buffer.from(der, "base64")).digest("hex");
  return {
    ...common,
    what: { kind: "trust", version, digest: entry.digest },
    cluster: entry.cluster,
    title: `${iss} wants ${entry.cluster} to take its trust statement ${version}: from then on nothing else is trusted`,
    facts: [
      ...command_keys.map(({ kid, x }) => ["command key", `${kid}  ${x}`] as const),
      ...roots.map((der) => ["root", `SHA-256 ${sha(der)}`] as const),
      ...witness_keys.map(({ kid, x }) => ["witness key", `${kid}  ${x}`] as const),
      ...entry.changes.map((change) => ["change", change] as const),
      ["needs", "1 of the policy's people"],
      ["waits", `since ${entry.time}, entry ${entry.index}`],
      ["digest", entry.digest],
    ],
    until: null,
  };
}

function fencingFound(entry: Extract<Entry, { kind: "fenced" }>): Found {
  return {
    ...common,
    what: { kind: "fencing", epoch: entry.epoch, digest: entry.digest },
    cluster: entry.cluster,
    title: `the agent of ${entry.cluster}, epoch ${entry.epoch}, is fenced: approve that it may ask again`,
    facts: [
      ["said", `${entry.says} (the control plane's word)`],
      ["needs", "1 of the policy's people, and the control plane's operator"],
      ["since", `${entry.time}, entry ${entry.index}`],
      ["digest", entry.digest],
    ],
    until: null,
  };
}

function payloadOf(jws: string): unknown {
  try {
    return JSON.parse(Buffer.from(jws.split(".")[1] ?? "", "base64url").toString());
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function words(values: object): string {
  const text = Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(", ") : String(value)}`);
  return text.join("   ") || "nothing";
}
