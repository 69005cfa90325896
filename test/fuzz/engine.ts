import { mutateBytes } from "./mutate.ts";
import { Broken, type Parser } from "./parser.ts";
import { randomOf } from "./random.ts";

/** Of this thread's processor, not of the wall clock: a loaded machine makes nothing slower. */
const MAX_CPU_SECONDS = 5;
const MAX_RSS_BYTES = 1_500_000_000;
/** A thousand inputs between two looks at the memory. */
const LOOK_EVERY = 1000;

export type Budget = { readonly seconds: number; readonly inputs: number };
export type Found = { readonly input: Uint8Array; readonly fault: string };
export type Run = {
  readonly inputs: number;
  /** How many were taken, or refused for what. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly found: Found | null;
};

/** Runs one input: what does not hold, or null; and what the parser said. */
export async function one(parser: Parser, input: Uint8Array): Promise<{ fault: string | null; said: string }> {
  const before = process.threadCpuUsage();
  let said = "";
  let fault: string | null = null;
  try {
    said = await parser.hold(input);
  } catch (error) {
    fault =
      error instanceof Broken ? error.message : `it threw ${error instanceof Error ? error.stack : String(error)}`;
  }
  const { user, system } = process.threadCpuUsage(before);
  const seconds = (user + system) / 1e6;
  if (fault === null && seconds > MAX_CPU_SECONDS)
    fault = `it took ${seconds} s of the processor for ${input.length} bytes`;
  return { fault, said };
}

/**
 * Inputs from a parser's corpus until the budget ends or something does not hold. The samples themselves come first. `begin` is told of each
 * input before it runs, so that one that never ends can be named by another thread.
 */
export async function fuzz(
  parser: Parser,
  seed: number,
  budget: Budget,
  begin: (input: Uint8Array) => void,
): Promise<Run> {
  const random = randomOf(seed);
  const outcomes = new Map<string, number>();
  const pool = [...parser.corpus];
  const until = performance.now() + budget.seconds * 1000;
  let inputs = 0;
  while (inputs < parser.corpus.length || (inputs < budget.inputs && performance.now() < until)) {
    const sample = random.pick(pool);
    const input =
      inputs < parser.corpus.length
        ? (parser.corpus[inputs] as Uint8Array)
        : (parser.mutate?.(random, sample) ?? mutateBytes(random, sample, parser.corpus, parser.maxBytes));
    const bounded = input.subarray(0, parser.maxBytes);
    begin(bounded);
    const { fault, said } = await one(parser, bounded);
    inputs += 1;
    if (fault !== null) return { inputs, outcomes, found: { input: bounded, fault } };
    // The first input for each answer is worth starting from again.
    if (!outcomes.has(said) && bounded.length < 8192) pool.push(bounded);
    outcomes.set(said, (outcomes.get(said) ?? 0) + 1);
    if (inputs % LOOK_EVERY === 0 && process.memoryUsage().rss > MAX_RSS_BYTES)
      return { inputs, outcomes, found: { input: bounded, fault: `memory grows: ${process.memoryUsage().rss} bytes` } };
  }
  return { inputs, outcomes, found: null };
}
