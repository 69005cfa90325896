import type { Disk } from "../host/host.ts";
import { LogDamaged } from "./fault.ts";
import { linesOf, segmentName, segmentsIn } from "./folder.ts";

type Cursor = { readonly index: number; readonly segment: number; readonly offset: number };

/**
 * Lines, without newline, from an index on and below `size`, as they are on disk; none where that segment was moved away. It remembers
 * where it was: whoever reads on from there looks for nothing.
 */
export function lineReader(disk: Disk, folder: string): (from: number, max: number, size: number) => string[] {
  let cursor: Cursor = { index: 0, segment: 0, offset: 0 };
  return (from, max, size) => {
    if (from >= size || max <= 0) return [];
    const start = segmentsIn(disk, folder).findLast((index) => index <= from);
    if (start === undefined) return [];
    if (cursor.segment !== start || cursor.index > from) cursor = { index: start, segment: start, offset: 0 };
    const found = linesFrom(disk, folder, cursor, from, Math.min(from + max, size));
    cursor = found.cursor;
    return found.lines;
  };
}

/** Lines of the cursor's segment and the ones after it, and where the reading ended. */
function linesFrom(
  disk: Disk,
  folder: string,
  at: Cursor,
  from: number,
  to: number,
): { lines: string[]; cursor: Cursor } {
  const lines: string[] = [];
  let { index, segment, offset } = at;
  while (index < to) {
    const before = index;
    for (const line of linesOf(disk, `${folder}/${segmentName(segment)}`, offset)) {
      if (index >= to) break;
      // What is on record ended with a newline.
      if (!line.ended) throw goneAway(index, folder);
      if (index >= from) lines.push(line.bytes.toString("utf8"));
      offset = line.offset + line.bytes.length + 1;
      index += 1;
    }
    if (index >= to) break;
    // The next segment begins with the next index.
    if (index === before && offset === 0) throw goneAway(index, folder);
    segment = index;
    offset = 0;
  }
  return { lines, cursor: { index, segment, offset } };
}

function goneAway(index: number, folder: string): LogDamaged {
  return new LogDamaged(
    `entry ${index} is gone from ${folder}: it was cut, replaced or removed under the running agent`,
    "Restore the folder.",
  );
}
