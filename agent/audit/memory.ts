import type { History } from "../../policy/asked.ts";
import { shortDigest } from "../../policy/names.ts";
import type { RefusalCode } from "../../policy/refusal.ts";
import { CLOCK_SKEW_SECONDS, COMMAND_LIFETIME_MAX_SECONDS, ID_TIME_MAX_SECONDS, LOG_KEPT_MIN_MS } from "../limits.ts";
import type { Json } from "../wire/canonical.ts";
import { timeOfId } from "../wire/names.ts";
import type { Entry, EntryKind } from "./entry.ts";
import { keyOfEpoch, type LogKeyRange } from "./logKeys.ts";
import { timeOf } from "./time.ts";

export type IntentEntry = Extract<Entry, { kind: "intent" }>;
export type WaitingEntry = Extract<Entry, { kind: "waiting" }>;
/** A signature that is on record. `person`: whose approval it is; null when it does not count. */
export type Recorded = { readonly entry: number; readonly person: string | null; readonly key: string | null };
/** A command that waits for people, and the signatures on record for it, by their digest. */
export type Waiting = { readonly entry: WaitingEntry; readonly signatures: ReadonlyMap<string, Recorded> };
export type EpochEntry = Extract<Entry, { kind: "epoch" }>;
/** The entry that decided an id. `exp`: unix seconds; nothing is decided by it any more; carry files have it. */
export type Decided = {
  readonly digest: string;
  readonly exp: number;
  readonly index: number;
  readonly kind: "refused" | "considered" | "waiting" | "intent";
};

/** One command in a line. `code`: of a refusal or failure. `entry`: the newest about it. */
export type Recent = {
  readonly command: string;
  readonly action: string;
  readonly subject: string;
  readonly rule: string | null;
  readonly is: "refused" | "considered" | "waiting" | "intent" | "succeeded" | "failed" | "unknown";
  readonly code: string | null;
  readonly entry: number;
  readonly time: string;
};

/** All that the agent must know of its past: a fold over the entries, so that it is what the log says and nothing else. */
export type Memory = {
  readonly history: History;
  /** Ids by the first entry that named them, until two days and two skews after the time that each says of itself, whatever the log's retention. */
  readonly ids: ReadonlyMap<string, Decided>;
  /** Intents without an outcome, by command id. */
  readonly open: ReadonlyMap<string, IntentEntry>;
  /** Commands that wait for approvals, by id, in the order in which they came. */
  readonly waiting: ReadonlyMap<string, Waiting>;
  /** The trust statement that waits, and the signatures on record for it; null when none does. */
  readonly trust: {
    readonly version: number;
    readonly digest: string;
    readonly signatures: ReadonlyMap<string, Recorded>;
  } | null;
  /** The highest version of a trust statement that an entry says is in force; 0 for none. */
  readonly trustVersion: number;
  /** The newest fencing, and the signatures on record for its end; null before one. */
  readonly fencing: { readonly digest: string; readonly signatures: ReadonlyMap<string, Recorded> } | null;
  /** The newest commands that were decided, oldest first: for `status`. */
  readonly recent: readonly Recent[];
  /** Milliseconds since 1970 of the newest entry; 0 for none. */
  readonly newest: number;
  /** Null: the log has not seen the owner's switch yet. */
  readonly switchOn: boolean | null;
  /** The last state of the policy on record; `code` says why it refused everything, null when it was in force. */
  readonly policy: { readonly digest: string; readonly revision: number; readonly code: RefusalCode | null } | null;
  /** Entry 0, which vouches for the log's key. */
  readonly first: EpochEntry | null;
  /** The log key whose range the next entry falls into; null before entry 0. */
  readonly logKey: LogKeyRange | null;
  /** Entries so far, by kind. */
  readonly counts: ReadonlyMap<EntryKind, number>;
};

/**
 * `verify` takes no command whose id is over a day from its `iat`, and none lives longer than a day: two days later each command that may have the
 * id has expired, whatever the first one said of itself. Kept two skews longer than needed.
 */
const ID_KEPT_MS = (COMMAND_LIFETIME_MAX_SECONDS + ID_TIME_MAX_SECONDS + 2 * CLOCK_SKEW_SECONDS) * 1000;
/** Only this module changes a memory; everybody else sees it read-only. */
type Fold = {
  history: { intents: Map<string, number[]>; since: number | null; revision: number };
  ids: Map<string, Decided>;
  open: Map<string, IntentEntry>;
  waiting: Map<string, { entry: WaitingEntry; signatures: Map<string, Recorded> }>;
  trust: { version: number; digest: string; signatures: Map<string, Recorded> } | null;
  trustVersion: number;
  fencing: { digest: string; signatures: Map<string, Recorded> } | null;
  recent: Recent[];
  newest: number;
  switchOn: boolean | null;
  policy: Memory["policy"];
  first: EpochEntry | null;
  logKey: LogKeyRange | null;
  counts: Map<EntryKind, number>;
};
/** Commands that `status` shows. */
const RECENT_COMMANDS = 10;
/** In entries: looking at every id costs, and forgetting late is harmless. */
const FORGET_EVERY = 2048;

/**
 * A log remembers nothing before its first entry. `since` is when the enrolment began: an answer that was long in coming left the machine before
 * it the whole while to act, and what that did counts.
 */
function remembersSince(since: number | null, first: EpochEntry | null): number | null {
  const began = first === null ? null : timeOf(first.time);
  return since === null || began === null ? since : Math.max(since, began);
}

/** `since`: see History; no earlier than the log's first entry, else it is not from the log. */
export function emptyMemory(since: number | null): Memory {
  const memory: Fold = {
    history: { intents: new Map(), since, revision: 0 },
    ids: new Map(),
    open: new Map(),
    waiting: new Map(),
    trust: null,
    trustVersion: 0,
    fencing: null,
    recent: [],
    newest: 0,
    switchOn: null,
    policy: null,
    first: null,
    logKey: null,
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
      into.history.since = remembersSince(into.history.since, into.first);
      into.logKey = keyOfEpoch(entry);
      return;
    case "segment":
      into.logKey = { origin: entry.origin, key: entry.key, from: entry.index };
      return;
    case "switch":
      into.switchOn = entry.on;
      return;
    case "policy":
      into.policy = { digest: entry.policy, revision: entry.revision, code: entry.code };
      if (entry.code === null) into.history.revision = Math.max(into.history.revision, entry.revision);
      return;
    case "refused":
      // A replay is refused without an end to what it repeats.
      if (entry.first === null) into.waiting.delete(entry.command);
      decide(into, entry);
      if (entry.first === null) note(into, entry, "refused", entry.rule, entry.code);
      return;
    case "considered":
      decide(into, entry);
      note(into, entry, "considered", entry.allowed.rule, null);
      return;
    case "waiting":
      decide(into, entry);
      into.waiting.set(entry.command, { entry, signatures: new Map() });
      note(into, entry, "waiting", entry.allowed.rule, null);
      return;
    case "approval":
      record(into, entry, entry.epoch);
      return;
    case "trust-waiting":
      into.trust = { version: entry.version, digest: entry.digest, signatures: new Map() };
      return;
    case "fenced":
      into.fencing = { digest: entry.digest, signatures: new Map() };
      return;
    case "trust":
      into.trustVersion = Math.max(into.trustVersion, entry.version);
      if (into.trust !== null && into.trust.version <= entry.version) into.trust = null;
      return;
    case "intent": {
      into.waiting.delete(entry.command);
      decide(into, entry);
      into.open.set(entry.command, entry);
      const times = into.history.intents.get(entry.allowed.rule);
      if (times === undefined) into.history.intents.set(entry.allowed.rule, [time]);
      else times.push(time);
      note(into, entry, "intent", entry.allowed.rule, null);
      return;
    }
    case "outcome": {
      const intent = into.open.get(entry.command);
      into.open.delete(entry.command);
      if (intent !== undefined)
        note(into, { ...intent, index: entry.index, time: entry.time }, entry.result, intent.allowed.rule, entry.code);
      return;
    }
    default:
      return;
  }
}

/** The first entry that names an id decides it; what waited is decided once more when its wait ends. */
function decide(into: Fold, entry: Extract<Entry, { kind: Decided["kind"] }>): void {
  const known = into.ids.get(entry.command);
  if (known !== undefined && known.kind !== "waiting") return;
  if (known !== undefined && (known.digest !== entry.digest || (entry.kind === "refused" && entry.first !== null)))
    return;
  const { digest, exp, index, kind } = entry;
  into.ids.set(entry.command, { digest, exp, index, kind });
}

function record(
  into: Fold,
  { approves, code, digest, index, key, person }: Extract<Entry, { kind: "approval" }>,
  epoch: number,
): void {
  const counts = code === null;
  signaturesFor(into, approves, epoch)?.set(digest, {
    entry: index,
    person: counts ? person : null,
    key: counts ? key : null,
  });
}

/** Where the signatures for what waits under this name are kept; undefined when nothing does. */
function signaturesFor(into: Fold, approves: string, epoch: number): Map<string, Recorded> | undefined {
  if (approves === `trust-${into.trust?.version}`) return into.trust?.signatures;
  if (approves === `fencing-${epoch}`) return into.fencing?.signatures;
  return into.waiting.get(approves)?.signatures;
}

type Noted = Extract<Entry, { kind: "refused" | "considered" | "waiting" | "intent" }>;

function note(into: Fold, entry: Noted, is: Recent["is"], rule: string | null, code: string | null): void {
  const { command, action, index, time } = entry;
  const before = into.recent.find((one) => one.command === command);
  const subject = before?.subject ?? subjectOf(entry);
  into.recent = [
    ...into.recent.filter((one) => one.command !== command),
    { command, action, subject, rule, is, code, entry: index, time },
  ].slice(-RECENT_COMMANDS);
}

/** What a command is about, in a few words. */
function subjectOf({ action, asked }: Noted): string {
  const text = (name: string): string => String(asked[name] ?? "-");
  if (action === "deploy") return `${shortDigest(text("manifest"))} to ${text("group")}`.slice(0, 200);
  if (action === "scale") return `${text("group")} to ${text("count")}`.slice(0, 200);
  return (action === "update-dns" ? `${text("change")} ${text("type")} ${text("name")}` : text("authority")).slice(
    0,
    200,
  );
}

/** Whether an id may be forgotten at `now` (milliseconds). Nor is one kept that is as far ahead: of these none was ever taken. */
function isForgotten(id: string, now: number): boolean {
  return Math.abs(now - timeOfId(id)) > ID_KEPT_MS;
}

function forget(into: Fold): void {
  for (const id of into.ids.keys()) if (isForgotten(id, into.newest)) into.ids.delete(id);
  for (const [rule, times] of into.history.intents) {
    const kept = times.filter((time) => time >= into.newest - LOG_KEPT_MIN_MS);
    if (kept.length === 0) into.history.intents.delete(rule);
    else if (kept.length < times.length) into.history.intents.set(rule, kept);
  }
}

/** What of a memory goes into a segment's carry file. `since` is not from the log, and is not in it. */
export function memoryState(memory: Memory): Json {
  const { history, ids, open, waiting, trust, trustVersion, fencing, recent, newest, switchOn, policy, first } = memory;
  const { logKey, counts } = memory;
  return {
    counts: Object.fromEntries(counts),
    fencing: fencing === null ? null : { ...fencing, signatures: listOf(fencing.signatures) },
    first: first as unknown as Json,
    ids: [...ids].map(([id, { digest, exp, index, kind }]) => [id, digest, exp, index, kind]),
    intents: [...history.intents].map(([rule, times]) => [rule, times]),
    logKey,
    newest,
    open: [...open.values()] as unknown as Json,
    policy,
    recent: recent as unknown as Json,
    revision: history.revision,
    switchOn,
    trust: trust === null ? null : { ...trust, signatures: listOf(trust.signatures) },
    trustVersion,
    waiting: [...waiting.values()].map(({ entry, signatures }) => [entry as unknown as Json, listOf(signatures)]),
  };
}

function listOf(signatures: ReadonlyMap<string, Recorded>): Json {
  return [...signatures].map(([digest, { entry, person, key }]) => [digest, entry, person, key]);
}
type RecordedList = [string, number, string | null, string | null][];
function signaturesOf(list: RecordedList): Map<string, Recorded> {
  return new Map(list.map(([digest, entry, person, key]) => [digest, { entry, person, key }]));
}

type State = {
  counts: Record<EntryKind, number>;
  first: EpochEntry | null;
  logKey: LogKeyRange | null;
  ids: [string, string, number, number, Decided["kind"]][];
  intents: [string, number[]][];
  newest: number;
  open: IntentEntry[];
  policy: Memory["policy"];
  fencing: { digest: string; signatures: RecordedList } | null;
  trustVersion: number;
  recent: Recent[];
  revision: number;
  switchOn: boolean | null;
  trust: { version: number; digest: string; signatures: RecordedList } | null;
  waiting: [WaitingEntry, RecordedList][];
};

/** The memory of a state as memoryState makes it. Throws TypeError on a value of another shape. */
export function memoryOf(value: Json, since: number | null): Memory {
  const state = value as unknown as State;
  for (const name of Object.keys(memoryState(emptyMemory(null)) as object))
    if (state[name as keyof State] === undefined) throw new TypeError(`a memory without ${name}`);
  const memory: Fold = {
    history: {
      intents: new Map(state.intents.map(([rule, times]) => [rule, [...times]])),
      since: remembersSince(since, state.first),
      revision: state.revision,
    },
    ids: new Map(state.ids.map(([id, digest, exp, index, kind]) => [id, { digest, exp, index, kind }])),
    open: new Map(state.open.map((intent) => [intent.command, intent])),
    waiting: new Map(
      state.waiting.map(([entry, signatures]) => [entry.command, { entry, signatures: signaturesOf(signatures) }]),
    ),
    trust: state.trust === null ? null : { ...state.trust, signatures: signaturesOf(state.trust.signatures) },
    trustVersion: state.trustVersion,
    fencing: state.fencing === null ? null : { ...state.fencing, signatures: signaturesOf(state.fencing.signatures) },
    recent: [...state.recent],
    newest: state.newest,
    switchOn: state.switchOn,
    policy: state.policy,
    first: state.first,
    logKey: state.logKey,
    counts: new Map(Object.entries(state.counts) as [EntryKind, number][]),
  };
  return memory;
}
