import { MAX_LISTED_CALLS, MAX_RECONCILED_CALLS, TRAIL_LATE_SECONDS } from "../../limits.ts";
import { timeText } from "../time.ts";
import type { Call, Read } from "./call.ts";
import { type Judged, judge } from "./judge.ts";
import { AROUND_MS, type Ledger, type Period, type Row, type Tables } from "./ledger.ts";

/** A call as it is shown. `entry`: the outcome, or where there is none the intent, of the command that it is of or says to be of. */
export type ShownCall = {
  readonly time: string;
  readonly operation: string;
  readonly resources: readonly string[];
  readonly request: string | null;
  readonly event: string;
  readonly region: string;
  readonly address: string;
  readonly user_agent: string;
  readonly principal: string;
  readonly error: string | null;
  readonly command: string | null;
  readonly entry: number | null;
  readonly why: string;
};
export type ShownRow = {
  readonly entry: number;
  readonly time: string;
  readonly command: string;
  readonly operation: string;
  readonly resource: string;
  readonly request: string;
  readonly status: string;
};
type Listed<T> = { readonly count: number; readonly shown: readonly T[] };

export type Comparison = {
  /** Nothing unexplained, nothing missing, and no answer of which not all could be compared. */
  readonly agrees: boolean;
  readonly calls: number;
  /** Calls of the period by how they are explained. */
  readonly explained: Readonly<Record<Exclude<Judged["class"], "unexplained">, number>>;
  /** The log has an intent and no answer; CloudTrail has it. */
  readonly answers: Listed<ShownCall> & {
    /** Those that do not show all that their intent asked: a person must look. */
    readonly doubtful: number;
  };
  readonly unexplained: Listed<ShownCall>;
  readonly operations: number;
  /** Operations of the log that the cloud's log does not have. */
  readonly missing: Listed<ShownRow>;
  /** Not there, and no wonder: too near to an end of the period; failed so early that the cloud need not have recorded them; reads, where only changes are. */
  readonly absent: { readonly edge: number; readonly failed: number; readonly reads: number };
  readonly trail: {
    readonly events: number;
    readonly duplicates: number;
    readonly summaries: number;
    readonly outside: number;
    /** First and last event of anybody's, as the cloud wrote them. */
    readonly first: string | null;
    readonly last: string | null;
    /** Whether it holds reads at all. */
    readonly reads: boolean;
  };
  /** Where calls came from that only their user agent explains, and no call that a request id explains. */
  readonly addresses: readonly string[];
};

/** Everything that is counted while a trail is read, one event after the other. */
export type Progress = {
  /** Of calls by the role in the period and around it: each must be known again when it is delivered twice. */
  readonly most: number;
  readonly holdsReads: (operation: string) => boolean;
  readonly ledger: Ledger;
  readonly tables: Tables;
  readonly period: Period;
  readonly seen: Set<string>;
  readonly explained: Record<Exclude<Judged["class"], "unexplained">, number>;
  readonly answers: ShownCall[];
  readonly unexplained: ShownCall[];
  unexplainedCount: number;
  doubtful: number;
  calls: number;
  events: number;
  duplicates: number;
  summaries: number;
  outside: number;
  first: string | null;
  last: string | null;
  reads: boolean;
  readonly sure: Set<string>;
  readonly said: Set<string>;
};

/** Kept of each kind of address: a trail can name millions. */
const MAX_ADDRESSES = 64;

/** `ledger` must hold the whole log: an event may be of a command whose entries lie outside the period. */
export function beginComparison(
  ledger: Ledger,
  tables: Tables,
  period: Period,
  most: number = MAX_RECONCILED_CALLS,
  holdsReads: (operation: string) => boolean = () => true,
): Progress {
  return {
    most,
    holdsReads,
    ledger,
    tables,
    period,
    seen: new Set(),
    explained: { matched: 0, read: 0, check: 0, doctor: 0, inventory: 0, answer: 0 },
    answers: [],
    unexplained: [],
    unexplainedCount: 0,
    doubtful: 0,
    calls: 0,
    events: 0,
    duplicates: 0,
    summaries: 0,
    outside: 0,
    first: null,
    last: null,
    reads: false,
    sure: new Set(),
    said: new Set(),
  };
}

/** Adds one event. False: the trail holds more calls by the role, around the period, than may be. */
export function addEvent(progress: Progress, read: Read): boolean {
  progress.events += 1;
  const { time } = read;
  if (time !== null && (progress.first === null || time < progress.first)) progress.first = time;
  if (time !== null && (progress.last === null || time > progress.last)) progress.last = time;
  if (read.reads) progress.reads = true;
  if (read.is === "summary") progress.summaries += 1;
  return read.call === null || addCall(progress, read.call);
}

function addCall(progress: Progress, call: Call): boolean {
  const { period, seen } = progress;
  if (seen.has(call.id)) {
    progress.duplicates += 1;
    return true;
  }
  // An operation near an end of the period may have its event beyond it; farther off there is nothing that matters.
  if (call.time < period.from - AROUND_MS || call.time > period.to + AROUND_MS) {
    progress.outside += 1;
    return true;
  }
  seen.add(call.id);
  if (seen.size > progress.most) return false;
  const judged = judge(call, progress.ledger, progress.tables);
  if ("row" in judged && judged.row !== null) judged.row.found = true;
  if (call.time < period.from || call.time >= period.to) {
    progress.outside += 1;
    return true;
  }
  progress.calls += 1;
  if (judged.class === "unexplained") {
    progress.unexplainedCount += 1;
    if (progress.unexplained.length < MAX_LISTED_CALLS) progress.unexplained.push(shownCall(call, judged));
    return true;
  }
  progress.explained[judged.class] += 1;
  const addresses = judged.class === "matched" ? progress.sure : progress.said;
  if (addresses.size < MAX_ADDRESSES) addresses.add(call.address);
  if (judged.class === "answer") {
    if (!judged.whole) progress.doubtful += 1;
    if (progress.answers.length < MAX_LISTED_CALLS) progress.answers.push(shownCall(call, judged));
  }
  return true;
}

function shownCall(call: Call, judged: Extract<Judged, { why: string }>): ShownCall {
  const { command } = judged;
  return {
    time: timeText(call.time),
    operation: call.operation,
    resources: call.subjects.slice(0, 16),
    request: call.requestId,
    event: call.id,
    region: call.region,
    address: call.address,
    user_agent: call.userAgent,
    principal: call.principal,
    error: call.error,
    command: command?.id ?? null,
    entry: command?.outcome?.entry ?? command?.intent?.entry ?? null,
    why: judged.why,
  };
}

/** When everything was read. `now`: milliseconds since 1970; what is newer than the cloud's own delay cannot be expected yet. */
export function endComparison(progress: Progress, now: number): Comparison {
  const { ledger, period, unexplainedCount, sure, said } = progress;
  const absent = { edge: 0, failed: 0, reads: 0 };
  const missing: ShownRow[] = [];
  let missingCount = 0;
  let operations = 0;
  for (const [request, row] of ledger.rows) {
    const whole = wholeIn(row, period, now);
    if (whole === "outside") continue;
    operations += 1;
    if (row.found) continue;
    if (whole === "edge") absent.edge += 1;
    else if (!row.changes && !(progress.reads && progress.holdsReads(row.operation))) absent.reads += 1;
    else if (UNRECORDED.has(row.status)) absent.failed += 1;
    else {
      missingCount += 1;
      if (missing.length < MAX_LISTED_CALLS) missing.push(shownRow(request, row));
    }
  }
  return {
    agrees: unexplainedCount === 0 && missingCount === 0 && progress.doubtful === 0,
    calls: progress.calls,
    explained: progress.explained,
    answers: { count: progress.explained.answer, shown: progress.answers, doubtful: progress.doubtful },
    unexplained: { count: unexplainedCount, shown: progress.unexplained },
    operations,
    missing: { count: missingCount, shown: missing },
    absent,
    trail: trailOf(progress),
    addresses: [...said].filter((address) => !sure.has(address)),
  };
}

function trailOf({ events, duplicates, summaries, outside, first, last, reads }: Progress): Comparison["trail"] {
  return { events, duplicates, summaries, outside, first, last, reads };
}

/**
 * Where an operation lies: its call was made between its intent and its outcome, its event comes with the cloud's delay. Only what lies
 * well inside the period must be there.
 */
function wholeIn(row: Row, period: Period, now: number): "inside" | "edge" | "outside" {
  const late = TRAIL_LATE_SECONDS * 1000;
  const from = row.command.intent?.time ?? row.time;
  if (row.time < period.from || from >= period.to) return "outside";
  return from >= period.from + late && row.time < Math.min(period.to, now) - late ? "inside" : "edge";
}

/** Statuses of calls that the cloud turned away before it knew the caller, or had no time for: its log need not have these. */
const UNRECORDED: ReadonlySet<string> = new Set([
  "throttled",
  "unavailable",
  "credentials-expired",
  "credentials-invalid",
  "clock",
  "region-disabled",
  "wrong-region",
]);

function shownRow(request: string, row: Row): ShownRow {
  const { entry, operation, resource, status } = row;
  return { entry, time: timeText(row.time), command: row.command.id, operation, resource, request, status };
}
