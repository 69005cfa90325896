/** One measured thing beside its peer, measured in the same run on the same machine. */
export type Figure = {
  readonly what: string;
  readonly ours: string;
  /** What it stands beside, and what that took; "" where the target is absolute. */
  readonly beside: string;
  readonly ratio: string;
  readonly target: string;
  /** Only printed: no time ever fails a run. */
  readonly reached: boolean;
};

/** `quick`: fewer rounds and a shorter idle time, for trying the bench itself. */
export type Effort = { readonly quick: boolean };

/** For what only computes: whatever else the machine did can only have made it slower. */
export function best(values: readonly number[]): number {
  return Math.min(...values);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new Error("nothing was measured");
  return middle;
}

/**
 * Runs the rivals in turn, round after round, so that what else the machine does meets them all; `pick` makes one figure of each one's rounds.
 * A rival returns nanoseconds per operation.
 */
export async function inTurn<Name extends string>(
  rivals: Readonly<Record<Name, () => number | Promise<number>>>,
  rounds: number,
  pick: (values: readonly number[]) => number = median,
): Promise<Record<Name, number>> {
  const names = Object.keys(rivals) as Name[];
  const taken = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    for (const name of names) {
      const nanoseconds = await rivals[name]();
      // The first round warms up and does not count.
      if (round >= 0) taken.get(name)?.push(nanoseconds);
    }
  }
  return Object.fromEntries(names.map((name) => [name, pick(taken.get(name) ?? [])])) as Record<Name, number>;
}

/** Nanoseconds per call, over as many calls as fit into `milliseconds`. */
export function perCall(call: () => void, milliseconds: number): number {
  const start = Bun.nanoseconds();
  const end = start + milliseconds * 1e6;
  let calls = 0;
  let now = start;
  for (; now < end; now = Bun.nanoseconds()) {
    for (let i = 0; i < 16; i++) call();
    calls += 16;
  }
  return (now - start) / calls;
}

export function perSecond(nanoseconds: number): string {
  return `${Math.round(1e9 / nanoseconds).toLocaleString("en")}/s`;
}

export function inMilliseconds(nanoseconds: number): string {
  return `${(nanoseconds / 1e6).toFixed(2)} ms`;
}

export function times(ratio: number): string {
  return `${ratio.toFixed(ratio < 10 ? 2 : 0)}×`;
}

/** A table in Markdown, its columns padded so that it reads on a terminal too. */
export function tableOf(figures: readonly Figure[]): string {
  const head = ["what", "reeve", "beside", "ratio", "target", "reached"];
  const rows = figures.map((f) => [f.what, f.ours, f.beside, f.ratio, f.target, f.reached ? "yes" : "**no**"]);
  const widths = head.map((name, at) => Math.max(name.length, ...rows.map((row) => (row[at] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |\n`;
  return line(head) + line(widths.map((width) => "-".repeat(width))) + rows.map(line).join("");
}
