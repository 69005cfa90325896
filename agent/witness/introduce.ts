import { inclusionProofs } from "../audit/consistency.ts";
import type { Log } from "../audit/log.ts";
import { parseCheckpoint } from "../audit/note.ts";
import { frontierAt, leavesOf, namingLines } from "./frontier.ts";

/** As many as a witness of ours reads. */
const MAX_NAMINGS = 256;

/**
 * The body of `add-log`, by which a witness learns this log's keys: entry 0 and the first lines of segments, which the CA vouches for, and
 * their inclusion proofs in the newest head. Null where lines are not at hand.
 */
export function introduction(log: Log): string | null {
  const checkpoint = log.checkpoint();
  const size = parseCheckpoint(checkpoint)?.size ?? 0;
  const lines = namingLines(log).slice(-MAX_NAMINGS);
  if (lines.length === 0) return null;
  const namings: { readonly entry: string; readonly proof: readonly string[] }[] = [];
  for (const { index, line } of lines) {
    const proof = inclusionOf(log, index, size);
    if (proof === null) return null;
    namings.push({ entry: line, proof: proof.map((hash) => hash.toString("base64")) });
  }
  return JSON.stringify({ namings, checkpoint });
}

function inclusionOf(log: Log, index: number, size: number): readonly Buffer[] | null {
  const before = frontierAt(log, index);
  if (before === null) return null;
  try {
    return inclusionProofs(before, index + 1, size, leavesOf(log, index, size))[0] ?? null;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
