import { resourceOf } from "../policy/asked.ts";
import type { WaitingEntry } from "./audit/memory.ts";
import { execute } from "./execute.ts";
import {
  MAX_COMMAND_BYTES,
  MAX_COMMANDS_PER_HOUR,
  MAX_COMMANDS_PER_POLL,
  MAX_INTAKE_BYTES_PER_HOUR,
  MAX_REFUSAL_ENTRY_BYTES,
  MAX_RUNNING_COMMANDS,
} from "./limits.ts";
import type { Road } from "./road.ts";
import { CommandClaims } from "./wire/command.ts";

const HOUR_MS = 3_600_000;

export type Dispatcher = {
  /** How many commands may be asked for now: the intake's limits and what still runs. */
  room(): number;
  running(): number;
  /** Commands that were taken in within the last hour; `full`: none more is, until some of them are older. */
  taken(): { readonly taken: number; readonly full: boolean };
  /** What is beyond the hour's bytes is left out: it is not begun and not on record, and is handed out again. */
  accept(texts: readonly string[]): void;
  /** What waited takes the road again. It was taken in before: of the intake's limits only the number that runs holds here. */
  resume(waiting: readonly WaitingEntry[]): void;
  /** Resolves when nothing runs. */
  idle(): Promise<void>;
};

/**
 * Runs commands side by side, those on one resource one after the other in the order of their ids. `fail` gets what execute throws:
 * our own mistakes and a log that cannot be written, which end the process.
 */
export function dispatcher(road: Road, fail: (error: unknown) => void): Dispatcher {
  const chains = new Map<string, Promise<void>>();
  let taken: { readonly time: number; readonly bytes: number }[] = [];
  const lastHour = (): typeof taken => {
    const now = road.host.clock.monotonic();
    taken = taken.filter(({ time }) => time > now - HOUR_MS);
    return taken;
  };
  const bytesLeft = (): number => lastHour().reduce((left, { bytes }) => left - bytes, MAX_INTAKE_BYTES_PER_HOUR);
  let running = 0;
  /** What the hour must have left for the next: as much as a refusal, or as the one that was left out last. */
  let needed = MAX_REFUSAL_ENTRY_BYTES;
  /** How many more this hour has room for. */
  const hourly = (): number => {
    const left = bytesLeft();
    if (left < needed) return 0;
    needed = MAX_REFUSAL_ENTRY_BYTES;
    return Math.max(0, Math.min(MAX_COMMANDS_PER_HOUR - lastHour().length, Math.floor(left / needed)));
  };
  const start = (text: string, key: string, waited: WaitingEntry | null): void => {
    running++;
    const before = chains.get(key) ?? Promise.resolve();
    const own = before
      // A required witness that is away lets commands wait here: a poll that was held may bring some although none was to be taken.
      .then(() => road.cleared())
      // What is not begun is not on record either: the control plane hands it out again.
      .then(() => (road.stopping() ? undefined : execute(text, road, waited)))
      .catch(fail)
      .finally(() => {
        running--;
        if (chains.get(key) === own) chains.delete(key);
      });
    chains.set(key, own);
  };
  return {
    room: () => Math.max(0, Math.min(MAX_COMMANDS_PER_POLL, MAX_RUNNING_COMMANDS - running, hourly())),
    running: () => running,
    taken: () => ({ taken: lastHour().length, full: hourly() === 0 }),
    accept(texts) {
      const ordered = texts
        .map((text) => ({ text, ...orderOf(text) }))
        .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
      for (const { text, key } of ordered) {
        const bytes = mostBytes(text);
        if (bytes > bytesLeft()) {
          needed = Math.max(needed, bytes);
          continue;
        }
        taken.push({ time: road.host.clock.monotonic(), bytes });
        start(text, key, null);
      }
    },
    resume(waiting) {
      for (const entry of waiting) start(entry.signed, entry.resource, entry);
    },
    async idle() {
      while (chains.size > 0) await Promise.all(chains.values());
    },
  };
}

/** How much a command may add to the log, short of changing something: its bytes whole, what it asks once more, or a refusal. */
function mostBytes(text: string): number {
  const kept = Math.min(text.length, MAX_COMMAND_BYTES);
  return Math.max(MAX_REFUSAL_ENTRY_BYTES, 2 * kept + 512);
}

/** Only the order: what these unverified bytes claim decides nothing else. */
function orderOf(text: string): { id: string; key: string } {
  try {
    const claims = CommandClaims.safeParse(JSON.parse(Buffer.from(text.split(".")[1] ?? "", "base64url").toString()));
    if (claims.success) return { id: claims.data.jti, key: resourceOf(claims.data) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { id: "", key: "unreadable" };
}
