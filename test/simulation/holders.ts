import { sign } from "node:crypto";
import { checkpointText, ed25519Private, ed25519Public, signLogKeyBinding, signNote } from "../../agent/audit/note.ts";
import { emptyTree, grow, leafHash, rootOfTree } from "../../agent/audit/tree.ts";
import { canonical, type Json } from "../../agent/wire/canonical.ts";
import { logOrigin, spiffeId } from "../../agent/wire/names.ts";
import { intent, type Key, makeCsr, makeKey } from "../control/client.ts";
import { CLUSTER, DOMAIN } from "./plane.ts";

/** Who can hold the identity: the agent, a copy of its disk, and the machine that takes its place with the next epoch. */
export const NAMES = ["agent", "copy", "replacement"] as const;
export type Name = (typeof NAMES)[number];

/** `accepted`: by the clock (told.ts). `stamp`: the control plane's newest moment then. */
export type Line = { readonly port: number; readonly accepted: string; readonly stamp: number; readonly key: number };
/** A request on its way. `lines`: the log that its head is of. */
export type Sent = {
  readonly kind: "poll" | "report" | "renew" | "grace";
  readonly name: Name;
  readonly epoch: number;
  readonly line: Line;
  readonly process: string;
  readonly lines: readonly string[];
  /** Of a renewal: the key that it asks a certificate for. */
  readonly asked: number;
};
/** What one holder has. All but `line`, `hand`, `wrote` and `started` is on its disk. Keys are numbers of a pool that was made before. */
export type Holder = {
  readonly name: Name;
  readonly epoch: number;
  key: number;
  /** A key whose renewal was answered: durable, and used from the next connection on. */
  heard: number | null;
  /** A key that was asked for and not heard of. */
  asked: number | null;
  renewals: number;
  started: number;
  lines: string[];
  line: Line | null;
  /** A command that was handed out to this process. */
  hand: string | null;
  /** The intents of this process: those that it finds in its log it only settles. */
  wrote: string[];
  flight: Sent | null;
};

export type Certified = { readonly key: Key; readonly csr: string };
const POOL = { agent: 0, copy: 3, replacement: 6 } as const;
const POOL_SIZE = 9;
const FIRST: Record<Name, string> = { agent: "1", copy: "2", replacement: "3" };

export async function keyPool(): Promise<readonly Certified[]> {
  const id = spiffeId(DOMAIN, CLUSTER);
  const names = [{ type: "url" as const, value: id }];
  const made = Array.from({ length: POOL_SIZE }, async () => {
    const key = await makeKey();
    return { key, csr: await makeCsr(key, names) };
  });
  return Promise.all(made);
}

/** The next key that this holder asks for; null when the pool's share is used up. */
export function nextKey(holder: Holder): number | null {
  if (holder.asked !== null) return holder.asked;
  return holder.renewals < 2 ? POOL[holder.name] + holder.renewals + 1 : null;
}

/** A process's id: a UUIDv7 that says whose and which it is. */
export function processOf(holder: Holder): string {
  return `01910000-0000-7000-8${FIRST[holder.name]}00-${String(holder.started).padStart(12, "0")}`;
}

const logKey = ed25519Private(new Uint8Array(32).fill(7));
const notes = new Map<string, string>();
/** The signed head of a log: who copied the disk signs by the same key. */
export function headOf(epoch: number, lines: readonly string[]): string {
  const origin = logOrigin(spiffeId(DOMAIN, CLUSTER), epoch);
  const name = `${epoch} ${lines.join("\n")}`;
  const known = notes.get(name);
  if (known !== undefined) return known;
  const tree = emptyTree();
  for (const line of lines) grow(tree, leafHash(line));
  const text = checkpointText({ origin, size: lines.length, root: rootOfTree(tree), time: 1_795_000_000_000 });
  const note = signNote(text, origin, logKey);
  notes.set(name, note);
  return note;
}

/** Two write at different milliseconds. */
function line(holder: Holder, body: Record<string, Json>): string {
  const { name, epoch, lines } = holder;
  const time = `2026-11-24T09:14:07.41${FIRST[name]}Z`;
  return canonical({ v: 1, index: lines.length, time, cluster: CLUSTER, epoch, ...body });
}

/** Entry 0, which binds the log's key to the certificate. */
export function openLog(holder: Holder, chain: readonly string[], key: Key): void {
  const origin = logOrigin(spiffeId(DOMAIN, CLUSTER), holder.epoch);
  const public32 = ed25519Public(logKey).toString("base64");
  const body = {
    kind: "epoch",
    origin,
    log_keys: [{ key: public32, from: 0 }],
    chain: [...chain],
    signature: signLogKeyBinding(origin, public32, 0, key.key),
    before: null,
    config: `sha256:${"0".repeat(64)}`,
  };
  holder.lines.push(line(holder, body));
}

/** The intent for the command in hand, once: nothing is called before the control plane was heard to hold it. */
export function intend(holder: Holder): void {
  if (holder.hand === null) return;
  const written = line(holder, intent(holder.hand));
  holder.lines.push(written);
  holder.wrote.push(written);
  holder.hand = null;
}

export function newHolder(name: Name, epoch: number): Holder {
  const empty = { heard: null, asked: null, renewals: 0, started: 1, line: null, hand: null, wrote: [], flight: null };
  return { name, epoch, key: POOL[name], lines: [], ...empty };
}

/** What was on the disk of another at this moment, on another machine. */
export function copyOf(holder: Holder): Holder {
  return { ...newHolder("copy", holder.epoch), ...diskOf(holder) };
}

function diskOf({ key, heard, asked, lines }: Holder): Pick<Holder, "key" | "heard" | "asked" | "lines"> {
  return { key, heard, asked, lines: [...lines] };
}

/** Dies and starts again: what only the process knew is gone. */
export function crash(holder: Holder): void {
  holder.started++;
  holder.line = null;
  holder.hand = null;
  holder.wrote = [];
}

export function bodyOf(sent: Sent): Record<string, Json> {
  const checkpoint = headOf(sent.epoch, sent.lines);
  if (sent.kind === "report") return { from: 0, entries: [...sent.lines], checkpoint, proofs: null };
  const said = { trust_version: 1, version: "0.1.0", state: "ready", reason: "", take: 1, hold: 0 };
  return { process: sent.process, epoch: sent.epoch, checkpoint, ...said };
}

/** Signs a renewal in grace. */
export function graceBody(csr: string, chain: readonly string[], nonce: string, key: Key) {
  const signed = Buffer.from(`reeve-renew\n${nonce}\n${csr}`);
  const signature = sign("sha256", signed, { key: key.key, dsaEncoding: "ieee-p1363" }).toString("base64url");
  return { csr, chain: [...chain], nonce, signature };
}
