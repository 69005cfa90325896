import type { Clock } from "./host/host.ts";
import { LOOP_SILENT_MAX_SECONDS, STOP_DEADLINE_SECONDS } from "./limits.ts";

/** The loops that an agent is of no use without: it talks with the control plane, and looks at what the owner does. They never rest. */
const LOOPS = ["contact", "look"] as const;
/** `report` hands in the log's entries. It counts while there are some. */
export type LoopName = (typeof LOOPS)[number] | "report";

export type Pulse = {
  /** This loop has come one step further. */
  beat(loop: LoopName): void;
  /** This loop has nothing to do: its silence means nothing until its next beat. */
  rest(loop: "report"): void;
  /** The loops end now: what runs is finished first, for STOP_DEADLINE_SECONDS at most. */
  ending(): void;
  /** Why systemd is to be told nothing: which loop has not come further, and for how long. Null while all do. */
  silent(): string | null;
};

/**
 * What a watchdog may be told. A timer alone would go on while the loops hang, so it asks here first. `monotonic`: milliseconds.
 */
export function pulse(monotonic: () => number): Pulse {
  const last = new Map<LoopName, number>(LOOPS.map((name) => [name, monotonic()]));
  let endingSince: number | null = null;
  return {
    beat: (name) => void last.set(name, monotonic()),
    rest: (name) => void last.delete(name),
    ending() {
      endingSince ??= monotonic();
    },
    silent() {
      const now = monotonic();
      if (endingSince !== null)
        return now - endingSince > STOP_DEADLINE_SECONDS * 1000 ? `the end, for ${seconds(now - endingSince)} s` : null;
      for (const [name, at] of last)
        if (now - at > LOOP_SILENT_MAX_SECONDS * 1000) return `the loop ${name}, for ${seconds(now - at)} s`;
      return null;
    },
  };
}

function seconds(milliseconds: number): number {
  return Math.round(milliseconds / 1000);
}

/** systemd's watchdog: it ends and restarts the unit unless `ping` comes at least every three times `everyMs`. */
export type Watchdog = { readonly everyMs: number; ping(): void };

/** Tells systemd that the agent lives, as long as its loops do. Ends with `end`. `say` is told once when a loop hangs. */
export async function keepAlive(
  watchdog: Watchdog,
  heart: Pulse,
  clock: Pick<Clock, "sleep">,
  say: (silent: string) => void,
  end: AbortSignal,
): Promise<void> {
  let said = false;
  while (!end.aborted) {
    const silent = heart.silent();
    if (silent === null) watchdog.ping();
    else if (!said) say(silent);
    said = silent !== null;
    await clock.sleep(watchdog.everyMs, end);
  }
}
