import type { History } from "../../policy/asked.ts";
import type { RefusalCode } from "../../policy/refusal.ts";
import { CLOCK_SKEW_SECONDS } from "../limits.ts";
import type { Json } from "../wire/canonical.ts";
import type { Entry, EntryKind } from "./entry.ts";
import { timeOf } from "./time.ts";

export type IntentEntry = Extract<Entry, { kind: "intent" }>;
export type EpochEntry = Extract<Entry, { kind: "epoch" }>;
/** The entry that decided an id. `exp`: unix seconds. */
export type Decided = {
  readonly digest: string;
  readonly exp: number;
  readonly index: number;
  readonly kind: "refused" | "considered" | "intent";
};

/** All that the agent must know of its past: a fold over the entries, so that it is what the log says and nothing else. */
export type Memory = {
  readonly history: History;
  /** Ids by the first entry that named them, until `exp` and the skew have passed, whatever the log's retention. */
  readonly ids: ReadonlyMap<string, Decided>;
  /** Intents without an outcome, by command id. */
  readonly open: ReadonlyMap<string, IntentEntry>;
  /** Milliseconds since 1970 of the newest entry; 0 for none. */
  readonly newest: number;
  /** Null: the log has not seen the owner's switch yet. */
  readonly switchOn: boolean | null;
  /** The last state of the policy on record; `code` says why it refused everything, null when it was in force. */
  readonly policy: { readonly digest: string; readonly revision: number; readonly code: RefusalCode | null } | null;
  /** Entry 0, which vouches for the log's key. */
  readonly first: EpochEntry | null;
  /** Entries so far, by kind. */
  readonly counts: ReadonlyMap<EntryKind, number>;
};

/** Ids are kept a second skew longer than needed: forgetting late is harmless. */
const ID_KEPT_SECONDS = 2 * CLOCK_SKEW_SECONDS;
/** The longest window of a rate is a week. */
const RATES_KEPT_MS = 8 * 24 * 3600 * 1000;
/** Only this module changes a memory; everybody else sees it read-only. */
type Fold = {
  history: { intents: Map<string, number[]>; since: number | null; revision: number };
  ids: Map<string, Decided>;
  open: Map<string, IntentEntry>;
  newest: number;
  switchOn: boolean | null;
  policy: Memory["policy"];
  first: EpochEntry | null;
  counts: Map<EntryKind, number>;
};
/** In entries: looking at every id costs, and forgetting late is harmless. */
const FORGET_EVERY = 2048;

/** `since`: see History; it is not from the log. */
export function emptyMemory(since: number | null): Memory {
  const memory: Fold = {
    history: { intents: new Map(), since, revision: 0 },
    ids: new Map(),
    open: new Map(),
    newest: 0,
    switchOn: null,
    policy: null,
    first: null,
    counts: new Map(),
  };
  return memory;
}

/** Adds one entry, which is durable, to `memory` itself. */
export function fold(memory: Memory, entry: Entry): void {
  const into = memory as Fold;
  const time = timeOf(entry.time);
  if (time === null) throw new Error("an entry with a time that is none");
  into.newest = Math.max(into.newest, time);
  into.counts.set(entry.kind, (into.counts.get(entry.kind) ?? 0) + 1);
  // Forgetting is a matter of the entries alone, so that every reader of the same log has the same memory.
  if (entry.index % FORGET_EVERY === 0) forget(into);
  switch (entry.kind) {
    case "epoch":
      into.first ??= entry;
      return;
    case "switch":
      into.switchOn = entry.on;
      return;
    case "policy":
      into.policy = { digest: entry.policy, revision: entry.revision, code: entry.code };
      if (entry.code === null) into.history.revision = Math.max(into.history.revision, entry.revision);
      return;
    case "refused":
    case "considered":
      decide(into, entry);
      return;
    case "intent": {
      decide(into, entry);
      into.open.set(entry.command, entry);
      const times = into.history.intents.get(entry.allowed.rule);
      if (times === undefined) into.history.intents.set(entry.allowed.rule, [time]);
      else times.push(time);
      return;
    }
    case "outcome":
      into.open.delete(entry.command);
      return;
    default:
      return;
  }
}

function decide(into: Fold, entry: Extract<Entry, { kind: Decided["kind"] }>): void {
  if (into.ids.has(entry.command)) return;
  const { digest, exp, index, kind } = entry;
  into.ids.set(entry.command, { digest, exp, index, kind });
}

/** Whether an id that expires at `exp` (seconds) may be forgotten at `now` (milliseconds): verify refuses it as expired by then. */
export function isOver(exp: number, now: number): boolean {
  return now > (exp + ID_KEPT_SECONDS) * 1000;
}

function forget(into: Fold): void {
  for (const [id, { exp }] of into.ids) if (isOver(exp, into.newest)) into.ids.delete(id);
  for (const [rule, times] of into.history.intents) {
    const kept = times.filter((time) => time >= into.newest - RATES_KEPT_MS);
    if (kept.length === 0) into.history.intents.delete(rule);
    else if (kept.length < times.length) into.history.intents.set(rule, kept);
  }
}

/** What of a memory goes into a segment's carry file. `since` is not from the log, and is not in it. */
export function memoryState(memory: Memory): Json {
  const { history, ids, open, newest, switchOn, policy, first, counts } = memory;
  return {
    counts: Object.fromEntries(counts),
    first: first as unknown as Json,
    ids: [...ids].map(([id, { digest, exp, index, kind }]) => [id, digest, exp, index, kind]),
    intents: [...history.intents].map(([rule, times]) => [rule, times]),
    newest,
    open: [...open.values()] as unknown as Json,
    policy,
    revision: history.revision,
    switchOn,
  };
}

type State = {
  counts: Record<EntryKind, number>;
  first: EpochEntry | null;
  ids: [string, string, number, number, Decided["kind"]][];
  intents: [string, number[]][];
  newest: number;
  open: IntentEntry[];
  policy: Memory["policy"];
  revision: number;
  switchOn: boolean | null;
};

/** The memory of a state that memoryState made and whose digest was checked. */
export function memoryOf(value: Json, since: number | null): Memory {
  const state = value as unknown as State;
  const memory: Fold = {
    history: {
      intents: new Map(state.intents.map(([rule, times]) => [rule, [...times]])),
      since,
      revision: state.revision,
    },
    ids: new Map(state.ids.map(([id, digest, exp, index, kind]) => [id, { digest, exp, index, kind }])),
    open: new Map(state.open.map((intent) => [intent.command, intent])),
    newest: state.newest,
    switchOn: state.switchOn,
    policy: state.policy,
    first: state.first,
    counts: new Map(Object.entries(state.counts) as [EntryKind, number][]),
  };
  return memory;
}
