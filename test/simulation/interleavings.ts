import { nextKey } from "./holders.ts";
import type { Ground, State } from "./interleave.ts";
import { digestOf } from "./kept.ts";

/** `faults`: lost answers and late requests. `others`: who comes beside the agent. */
export type Scenario = {
  readonly depth: number;
  readonly ways: readonly ("heard" | "lost" | "late")[];
  readonly others: readonly ("copy" | "replace")[];
};
export type Searched = {
  readonly states: number;
  readonly steps: number;
  /** Orders of steps of the whole depth that these stand for. */
  readonly interleavings: number;
  readonly breach: string | null;
  /** The steps that lead to it. */
  readonly path: readonly string[];
};

type Reached = { readonly state: State; readonly path: readonly string[]; ways: number };

/** Every order of steps up to the depth, each state once: in breadth, so that a breach is found by its shortest history. */
export async function search(ground: Ground, scenario: Scenario): Promise<Searched> {
  const seen = new Set<string>([digestOf(ground.first)]);
  let level: Reached[] = [{ state: ground.first, path: [], ways: 1 }];
  let steps = 0;
  const found = (breach: string | null, path: readonly string[]): Searched => {
    const interleavings = level.reduce((sum, one) => sum + one.ways, 0);
    return { states: seen.size, steps, interleavings, breach, path };
  };
  for (let depth = 0; depth < scenario.depth; depth++) {
    const next = new Map<string, Reached>();
    for (const from of level) {
      for (const step of stepsFrom(from.state, scenario)) {
        steps++;
        const path = [...from.path, step];
        const stepped = await ground.step(from.state, step);
        if ("breach" in stepped) return found(stepped.breach, path);
        const digest = digestOf(stepped.state);
        const met = next.get(digest);
        if (met !== undefined) met.ways += from.ways;
        if (seen.has(digest)) continue;
        seen.add(digest);
        next.set(digest, { state: stepped.state, path, ways: from.ways });
        const stuck = scenario.others.length === 0 ? await ground.alone(stepped.state) : null;
        if (stuck !== null) return found(stuck, path);
      }
    }
    level = [...next.values()];
  }
  return found(null, []);
}

/** All that can come next. */
function stepsFrom({ holders }: State, { ways, others }: Scenario): string[] {
  const steps: string[] = [];
  const there = (name: string): boolean => holders.some((holder) => holder.name === name);
  if (others.includes("copy") && !there("copy") && !there("replacement")) steps.push("copy");
  if (others.includes("replace") && !there("replacement")) steps.push("replace");
  for (const holder of holders) {
    const say = (what: string): void => void steps.push(`${holder.name} ${what}`);
    const ask = (kind: string): void => {
      for (const how of ways) if (how !== "late" || holder.flight === null) say(`${kind} ${how}`);
    };
    const renews = nextKey(holder) !== null;
    if (holder.flight !== null) say("late");
    say("connects");
    if (holder.line !== null) {
      say("crashes");
      ask("poll");
      if (holder.hand !== null || holder.lines.length > 1) ask("report");
      if (renews && holder.heard === null) ask("renew");
    }
    if (holder.hand !== null) say("writes");
    if (renews && holder.line === null) ask("grace");
  }
  return steps;
}
