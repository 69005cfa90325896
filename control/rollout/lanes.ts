import { createHash } from "node:crypto";
import { Complaint } from "../terminal.ts";

/** `10,25,50,100`: ascending percentages of all clusters, the last one 100. Throws a Complaint. */
export function parseLanes(text: string): number[] {
  const lanes = text.split(",").map((part) => (/^[1-9]\d{0,2}$/.test(part) ? Number(part) : Number.NaN));
  const ascending = lanes.every((percent, at) => percent > (lanes[at - 1] ?? 0) && percent <= 100);
  if (ascending && lanes.at(-1) === 100) return lanes;
  throw new Complaint(
    2,
    "start the rollout",
    `${JSON.stringify(text)} are no lanes`,
    "Write percentages in ascending order, the last one 100: 10,25,50,100.",
  );
}

export type Member = { readonly cluster: string; readonly lane: number; readonly canary: boolean };

/**
 * Which cluster is in which lane, in order: canaries first, as they were named, then the others by a hash of their name and the content's
 * checksum, so that the same clusters are not first every time. A lane ends at its percentage of all, rounded up; the first has room for
 * every canary. The same input gives the same lanes.
 */
export function assign(
  clusters: readonly string[],
  canaries: readonly string[],
  checksum: string,
  lanes: readonly number[],
): Member[] {
  const known = new Set(canaries);
  const keys = new Map(
    clusters.map((name) => [name, createHash("sha256").update(`${checksum}\n${name}`).digest("hex")]),
  );
  const others = clusters.filter((name) => !known.has(name));
  others.sort((one, other) => ((keys.get(one) ?? "") < (keys.get(other) ?? "") ? -1 : 1));
  const ends = lanes.map((percent) => Math.max(Math.ceil((clusters.length * percent) / 100), canaries.length));
  return [...canaries, ...others].map((cluster, at) => ({
    cluster,
    lane: ends.findIndex((end) => at < end),
    canary: at < canaries.length,
  }));
}
