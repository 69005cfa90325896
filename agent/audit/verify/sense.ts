import { CLOCK_SKEW_SECONDS } from "../../limits.ts";
import { approvedFault, signatureFault, unfencedFault } from "../approved.ts";
import type { Entry } from "../entry.ts";
import { misplaced } from "../load.ts";
import type { Memory } from "../memory.ts";
import { timeOf } from "../time.ts";
import type { Progress } from "./verdict.ts";

type Fault = { readonly what: string; readonly because: string };

/** What is wrong with an entry at this place of the log, by itself and by what came before it; where that is not known, by itself. */
export function senseFault(entry: Entry, index: number, progress: Progress): Fault | null {
  const { memory } = progress;
  const place = misplaced(entry, index, memory.newest, progress.like ?? memory.first ?? entry);
  if (place !== null) return { what: place, because: placeText[place] };
  if (entry.kind === "intent" || entry.kind === "considered" || entry.kind === "waiting")
    return (
      enteredFault(entry, memory) ??
      (entry.kind === "intent" && progress.remembers ? approvedFault(entry, memory) : null)
    );
  // After a gap that no carry file bridges it is not known what waited.
  if (entry.kind === "approval" && entry.code === null && progress.remembers) return signatureFault(entry, memory);
  if (entry.kind === "unfenced" && progress.remembers) return unfencedFault(entry, memory);
  // After a gap that no carry file bridges it is not known which intents were open.
  if (entry.kind === "outcome" && progress.remembers) {
    const intent = memory.open.get(entry.command);
    if (intent === undefined || intent.index !== entry.intent)
      return {
        what: "outcome",
        because: `an outcome of entry ${entry.intent}, which is no open intent of this command`,
      };
  }
  return null;
}

const placeText = {
  index: "it names another index than its place",
  time: "its time is behind the entry before it, or is no time",
  epoch: "it is of another epoch",
  cluster: "it is of another cluster",
  first: "entry 0, and only entry 0, is the epoch's",
} as const;

function enteredFault(
  entry: Extract<Entry, { kind: "intent" | "considered" | "waiting" }>,
  memory: Memory,
): Fault | null {
  const known = memory.ids.get(entry.command);
  // What waited is decided once more, by the intent that its approval led to.
  const waited = memory.waiting.get(entry.command)?.entry;
  const goesOn = entry.kind === "intent" && waited !== undefined && waited.digest === entry.digest;
  if (known !== undefined && !goesOn)
    return { what: "id", because: `command ${entry.command} was decided in entry ${known.index} already` };
  // Two skews of grace: the agent looked at its clock before it wrote.
  if ((timeOf(entry.time) ?? 0) > (entry.exp + 2 * CLOCK_SKEW_SECONDS) * 1000)
    return { what: "expired", because: `command ${entry.command} had expired by then` };
  return null;
}
