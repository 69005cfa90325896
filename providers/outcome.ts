import type { Clock } from "../agent/host/host.ts";
import {
  CallFailed,
  type Changed,
  type DeployProvider,
  type Described,
  type Errand,
  type Executed,
  Halted,
  type Reconciled,
} from "./provider.ts";

export function succeeded(changed: readonly Changed[], more: Partial<Executed> = {}): Executed {
  return { result: "succeeded", code: null, changed, certificate: null, words: null, ...more };
}

export function failed(code: string, changed: readonly Changed[] = [], words: string | null = null): Executed {
  return { result: "failed", code: code.slice(0, 64), changed, certificate: null, words };
}

export function unknown(code: string, changed: readonly Changed[] = [], words: string | null = null): Executed {
  return { ...failed(code, changed, words), result: "unknown" };
}

export function byState(executed: Executed): Reconciled {
  return { ...executed, known_by: "state" };
}

/** What a deploy changed: the image that the group's machines run. */
export function deployed(group: string, from: string | null, to: string | null): Changed[] {
  return from === to ? [] : [{ what: `${group} image`, from, to }];
}

/** How many machines a deploy may take out of service at once. */
export function unavailableOf({ unavailable }: Pick<Errand, "unavailable">): number {
  if (unavailable === undefined || unavailable < 1) throw new Error("a deploy without its rule's `unavailable`");
  return unavailable;
}

type Into = NonNullable<DeployProvider["resume"]>;

/**
 * The two ways into a deploy that a cloud carries out: begun anew, or gone on with, once what may have been on its way for `inFlightMs` when the
 * agent stopped is seen. Where `rolled` throws, nothing was changed yet: what was, it says itself.
 */
export function deploysBy(
  clock: Pick<Clock, "sleep">,
  inFlightMs: number,
  rolled: (...into: [...Parameters<Into>, resumed: boolean]) => Promise<Executed>,
): Pick<DeployProvider, "execute" | "resume"> {
  const into =
    (resumed: boolean): Into =>
    async (gate, args, found, errand) => {
      unavailableOf(errand);
      try {
        if (resumed) await clock.sleep(inFlightMs, errand.signal);
        return await rolled(gate, args, found, errand, resumed);
      } catch (error) {
        return stoppedBy(error);
      }
    };
  return { execute: into(false), resume: into(true) };
}

/** Why `describe` saw no state. */
export function unseenBecause(seen: Exclude<Described<unknown>, { readonly state: unknown }>): string {
  if ("missing" in seen) return seen.missing;
  return "unreadable" in seen ? seen.unreadable : seen.because;
}

/** A call that stopped the errand, as its outcome; anything else is our own mistake and goes on up. */
export function stoppedBy(error: unknown, changed: readonly Changed[] = []): Executed {
  if (error instanceof Halted) return failed(error.why, changed);
  if (!(error instanceof CallFailed)) throw error;
  return (error.effect === "none" ? failed : unknown)(error.status, changed, error.words);
}
