import { inclusionProofs } from "../audit/consistency.ts";
import type { Log } from "../audit/log.ts";
import { parseCheckpoint } from "../audit/note.ts";
import { emptyTree } from "../audit/tree.ts";
import { leavesOf } from "./frontier.ts";

/**
 * The body of `add-log`, by which a witness learns this log's key: entry 0, which the CA vouches for, and its inclusion proof in the newest
 * head. Null where the lines are not at hand.
 */
export function introduction(log: Log): string | null {
  const checkpoint = log.checkpoint();
  const size = parseCheckpoint(checkpoint)?.size ?? 0;
  const [entry] = log.lines(0, 1);
  if (entry === undefined) return null;
  try {
    const [proof] = inclusionProofs(emptyTree(), 1, size, leavesOf(log, 0, size));
    return JSON.stringify({ entry, proof: proof?.map((hash) => hash.toString("base64")), checkpoint });
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
