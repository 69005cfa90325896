import { setImmediate } from "node:timers/promises";
import { inclusionProofs } from "../audit/consistency.ts";
import { parseCheckpoint } from "../audit/note.ts";
import { frontierAt, type Lines, leavesOf, type NamingLine, namingLines } from "./frontier.ts";

/** As many as a witness of ours reads. */
const MAX_NAMINGS = 256;
/** What a witness needs that only missed the newest key: that one, and the one that handed over to it. */
const NEWEST_NAMINGS = 2;
type IntroducedLog = Lines & { checkpoint(): string };

export type Introducer = {
  /**
   * The body of `add-log`, by which a witness learns this log's keys: entry 0 and the first lines of segments, which the CA vouches for, and
   * their inclusion proofs in one head. `newest`: of the last two alone. Null where lines are not at hand. It is made once for each newest
   * key: to show the same keys again costs no reading of the log.
   */
  body(which: "newest" | "all"): Promise<string | null>;
};

export function introducer(log: IntroducedLog): Introducer {
  let made: { readonly key: number; readonly bodies: Map<string, string> } = { key: -1, bodies: new Map() };
  return {
    async body(which) {
      const key = log.segments().at(-1) ?? -1;
      if (made.key !== key) made = { key, bodies: new Map() };
      const { bodies } = made;
      const known = bodies.get(which);
      if (known !== undefined) return known;
      const body = await introduction(log, which === "all" ? MAX_NAMINGS : NEWEST_NAMINGS);
      if (body !== null) bodies.set(which, body);
      return body;
    },
  };
}

/** The event loop runs between two lines: each proof reads the log on to its end. */
async function introduction(log: IntroducedLog, most: number): Promise<string | null> {
  const checkpoint = log.checkpoint();
  const size = parseCheckpoint(checkpoint)?.size ?? 0;
  const all = namingLines(log).filter(({ index }) => index < size);
  const lines = all.slice(-most);
  if (lines.length === 0) return null;
  const namings: { readonly entry: string; readonly proof: readonly string[] }[] = [];
  for (const { index, line } of lines) {
    const proof = inclusionOf(log, index, size, all);
    if (proof === null) return null;
    namings.push({ entry: line, proof: proof.map((hash) => hash.toString("base64")) });
    await setImmediate();
  }
  return JSON.stringify({ namings, checkpoint });
}

function inclusionOf(log: Lines, index: number, size: number, naming: readonly NamingLine[]): readonly Buffer[] | null {
  const before = frontierAt(log, index, naming);
  if (before === null) return null;
  try {
    return inclusionProofs(before, index + 1, size, leavesOf(log, index, size))[0] ?? null;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
