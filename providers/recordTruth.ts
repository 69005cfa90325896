import type { Host } from "../agent/host/host.ts";
import type { DnsArgs } from "../policy/asked.ts";
import { failed, succeeded, unknown } from "./outcome.ts";
import { CallFailed, type Errand, type Executed, type RecordState } from "./provider.ts";
import { changes, same } from "./recordState.ts";

type Judged = RecordState["record"];
/** What lies under a name and type, or why it must not be touched, as a short stable word. */
export type Seen<Set extends NonNullable<Judged> = NonNullable<Judged>> =
  | { readonly set: Set | null }
  | { readonly unusual: string };

/** One command's change of one record set, as far as what lies there tells of it. */
export type Told = {
  readonly host: Host;
  readonly args: DnsArgs;
  readonly errand: Errand;
  /** As it lay there before, and what is to lie there. */
  readonly before: Judged;
  readonly wanted: Judged;
  read(): Promise<Seen>;
};
/** How often it is read while it is waited for, and for how long a read may still show what was before. */
export type Looks = { readonly firstMs: number; readonly maxMs: number; readonly settlesMs: number };
/** What keeps it from being known. */
export type Doubt = Pick<Executed, "code" | "words">;

/** Null when it cannot be read now. */
export async function readNow({ read }: Pick<Told, "read">): Promise<Seen | null> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    return null;
  }
}

/** What lies there after the change was accepted. */
export async function compare(told: Told, doubt: Doubt | null): Promise<Executed> {
  const { args, before, wanted } = told;
  const seen = await readNow(told);
  const made = changes(args, before, wanted);
  if (seen === null) return unknown(doubt?.code ?? "unread", made, doubt?.words ?? null);
  // The change was made, and then someone else made another.
  if (!("set" in seen)) return failed("concurrent", made, seen.unusual);
  if (!same(seen.set, wanted)) return failed("concurrent", changes(args, before, seen.set));
  return doubt === null ? succeeded(made) : unknown(doubt.code ?? "pending", made, doubt.words);
}

/** Nothing was changed: a change is not taken when the record set is another now. That is read, whatever words it is said in. */
export async function refusedBecause(told: Told, stopped: Executed): Promise<Executed> {
  const seen = await readNow(told);
  if (seen === null || ("set" in seen && same(seen.set, told.before))) return stopped;
  return failed("concurrent", [], stopped.words);
}

/** The answer was lost: it is never sent again; what lies there tells, if it comes soon. */
export async function awaitTruth(told: Told, lost: Executed, { firstMs, maxMs, settlesMs }: Looks): Promise<Executed> {
  const { host, args, errand, before, wanted } = told;
  const until = host.clock.monotonic() + settlesMs;
  for (let wait = firstMs; ; wait = Math.min(wait * 1.5, maxMs)) {
    const late = errand.signal.aborted || host.clock.monotonic() > until;
    const seen = await readNow(told);
    const set = seen !== null && "set" in seen ? seen.set : undefined;
    if (set !== undefined && same(set, wanted)) return succeeded(changes(args, before, set));
    const still = set === undefined || same(set, before);
    if (late || !still)
      return unknown(lost.code ?? "lost", set === undefined ? [] : changes(args, before, set), lost.words);
    await host.clock.sleep(wait, errand.signal);
  }
}
