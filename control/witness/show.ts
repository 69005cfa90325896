import { timeText } from "../../policy/duration.ts";
import type { Sql } from "../store.ts";
import { table } from "../terminal.ts";
import { type RefusalKind, readLogs, readRefusals } from "./state.ts";

/** What a witness knows, for its operator. Times are RFC 3339. */
export type ShownWitness = {
  readonly logs: readonly {
    readonly origin: string;
    /** Entries that were cosigned. */
    readonly size: number;
    /** Null before the first cosignature. */
    readonly cosigned_at: string | null;
    /** The later log of the same agent; null for the one that goes on. */
    readonly ended_by: string | null;
  }[];
  /** Evidence: each was signed by the log's own key. `note`: what was refused. */
  readonly refused: readonly {
    readonly origin: string;
    readonly kind: RefusalKind;
    readonly words: string;
    readonly at: string;
    readonly note: string;
  }[];
};

export async function readWitness(sql: Sql): Promise<ShownWitness> {
  const logs = (await readLogs(sql)).map(({ origin, size, at, ended_by }) => ({
    origin,
    size,
    cosigned_at: at === 0 ? null : time(at),
    ended_by,
  }));
  const refused = (await readRefusals(sql)).map(({ origin, kind, words, at, note }) => ({
    origin,
    kind,
    words,
    at: time(at),
    note,
  }));
  return { logs, refused };
}

function time(seconds: number): string {
  return timeText(seconds * 1000);
}

export function witnessText({ logs, refused }: ShownWitness): string {
  if (logs.length === 0) return "no log yet\n";
  const rows = logs.map((log) => [
    log.origin,
    String(log.size),
    log.cosigned_at ?? "-",
    log.ended_by === null ? "" : `ended by ${log.ended_by}`,
  ]);
  const alarms = refused.map(({ origin, kind, words, at }) => `REFUSED  ${at}  ${kind}: ${words}  (${origin})`);
  return table([["log", "entries cosigned", "newest cosignature", ""], ...rows], alarms);
}
