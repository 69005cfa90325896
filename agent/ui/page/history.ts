import type { Entry } from "../../audit/entry.ts";

/**
 * What became of each command, put together from its entries. They come newest first, in parts, an outcome's intent perhaps out of turn: an entry that
 * is known is passed over, so the order in which parts come does not matter.
 */
export type Kept = { readonly entry: Entry; readonly line: string };
type Of<K extends Entry["kind"]> = Extract<Entry, { kind: K }>;
export type Asking = Of<"refused" | "considered" | "waiting" | "intent">;
/** `open`: an intent of which no outcome was seen. `note`: something that is about no command. */
export type State =
  | "succeeded"
  | "failed"
  | "unknown"
  | "open"
  | "refused"
  | "considered"
  | "waiting"
  | "cancelled"
  | "approval"
  | "note"
  | "damaged";
export type Row = {
  readonly key: string;
  /** By rising index. */
  entries: Kept[];
  /** Text of a line that is no entry. */
  readonly bad: string | null;
};
export type History = { readonly rows: Map<string, Row>; readonly known: Set<string> };

export function emptyHistory(): History {
  return { rows: new Map(), known: new Set() };
}

/** Adds lines and says which rows are new or changed. `read`: null for a line that is none. */
export function addLines(history: History, lines: readonly string[], read: (line: string) => Entry | null): Row[] {
  const touched = new Set<Row>();
  for (const line of lines) {
    if (history.known.has(line)) continue;
    history.known.add(line);
    const entry = read(line);
    const key = entry === null ? `line ${line}` : keyOf(entry);
    const row = history.rows.get(key) ?? { key, entries: [], bad: entry === null ? line : null };
    history.rows.set(key, row);
    if (entry !== null) row.entries = [...row.entries, { entry, line }].sort((a, b) => a.entry.index - b.entry.index);
    touched.add(row);
  }
  return [...touched];
}

function keyOf(entry: Entry): string {
  // A replay is a row of its own: it changes nothing of what the command came to.
  if (entry.kind === "refused" && entry.first !== null) return `entry ${entry.index}`;
  if (entry.kind === "gate") return `entry ${entry.index}`;
  if ("command" in entry) return `command ${entry.command}`;
  if (entry.kind === "approval") return `command ${entry.approves}`;
  return `entry ${entry.index}`;
}

function has<K extends Entry["kind"]>(row: Row, kind: K): Of<K> | null {
  for (const { entry } of row.entries) if (entry.kind === kind) return entry as Of<K>;
  return null;
}

export function outcomeOf(row: Row): Of<"outcome"> | null {
  return has(row, "outcome");
}

/** The entry that says who asks for what: the newest of its kind. */
export function askingOf(row: Row): Asking | null {
  return has(row, "intent") ?? has(row, "refused") ?? has(row, "considered") ?? has(row, "waiting");
}

export function approvalsOf(row: Row): Of<"approval">[] {
  return row.entries.flatMap(({ entry }) => (entry.kind === "approval" ? [entry] : []));
}

export function waitingOf(row: Row): Of<"waiting"> | null {
  return has(row, "waiting");
}

export function stateOf(row: Row): State {
  if (row.bad !== null) return "damaged";
  const outcome = outcomeOf(row);
  if (outcome !== null) return outcome.result;
  if (has(row, "intent") !== null) return "open";
  if (has(row, "refused") !== null || has(row, "rejected") !== null || has(row, "gate") !== null) return "refused";
  if (has(row, "cancelled") !== null) return "cancelled";
  if (has(row, "considered") !== null) return "considered";
  if (has(row, "waiting") !== null) return "waiting";
  return has(row, "approval") === null ? "note" : "approval";
}

/** The newest entry of a row, by which rows are ordered. */
export function newestOf(row: Row): Entry | null {
  return row.entries.at(-1)?.entry ?? null;
}
