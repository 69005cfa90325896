/**
 * `bun run simulate --seeds N [--seed S | --fresh] [--jobs J] [--replay] [--rollouts]`: worlds one after another, each decided by its seed. Prints what
 * did not hold, with the command that shows it again; the last line is `N passed, N failed`. Exit 1 when something failed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { availableParallelism } from "node:os";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { replayRollouts, workRollouts } from "./rollouts/worker.ts";
import { replay, type Told, work } from "./worker.ts";

const MAX_JOBS = 2;
const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    jobs: { type: "string", default: String(Math.min(MAX_JOBS, availableParallelism())) },
    /** Begins at a seed that nobody chose. */
    fresh: { type: "boolean", default: false },
    replay: { type: "boolean", default: false },
    /** Ends at the first world in which something did not hold, without looking for a shorter history. */
    first: { type: "boolean", default: false },
    /** Worlds of rollouts. */
    rollouts: { type: "boolean", default: false },
    worker: { type: "string" },
  },
});

const number = (text: string): number => {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  process.stderr.write(`error: Cannot simulate: ${JSON.stringify(text)} is not a whole number from 1 on.\n`);
  process.exit(2);
};
const seed = values.fresh ? randomInt(1, 2 ** 31) : number(values.seed);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function asWorker(step: number): Promise<void> {
  const worlds = values.rollouts ? workRollouts : work;
  await worlds({ seed, seeds: number(values.seeds), step, shrink: !values.first }, (told) => say(JSON.stringify(told)));
  process.exit(0);
}

async function show(): Promise<void> {
  const ran = await (values.rollouts ? replayRollouts : replay)(seed);
  for (const line of ran.trace) say(line);
  for (const { invariant, what } of ran.violations) say(`did not hold: ${invariant}: ${what}`);
  say(`digest ${ran.digest}`);
  end([{ seed, same: null, history: [], ...ran }], 0);
}

/** Each job takes every so-manieth seed in a process of its own. */
async function all(): Promise<void> {
  const [seeds, jobs] = [number(values.seeds), Math.min(number(values.jobs), number(values.seeds))];
  const again = values.fresh
    ? `; again: bun run simulate${values.rollouts ? " --rollouts" : ""} --seed ${seed} --seeds ${seeds}`
    : "";
  say(`seeds ${seed} to ${seed + seeds - 1}, ${jobs} at a time${again}`);
  const began = performance.now();
  const told: Told[] = [];
  const children: ChildProcess[] = [];
  let enough = false;
  const run = (job: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const words = ["--worker", String(jobs), "--seed", String(seed + job), "--seeds"];
      words.push(String(Math.floor((seeds - job + jobs - 1) / jobs)), ...(values.first ? ["--first"] : []));
      if (values.rollouts) words.push("--rollouts");
      const child = spawn(process.execPath, [import.meta.filename, ...words], { stdio: ["ignore", "pipe", "inherit"] });
      children.push(child);
      createInterface({ input: child.stdout }).on("line", (line) => {
        const one = JSON.parse(line) as Told;
        told.push(one);
        if (failuresOf(one).length === 0) return;
        tell(one);
        enough ||= values.first;
        if (enough) for (const each of children) each.kill("SIGKILL");
      });
      child.once("error", reject);
      child.once("close", (code) => {
        if (code === 0 || enough) resolve();
        else reject(new Error(`a worker ended with ${code}`));
      });
    });
  await Promise.all(Array.from({ length: jobs }, (_, job) => run(job)));
  end(told, performance.now() - began);
}

function failuresOf({ violations, same }: Told): string[] {
  const broken = violations.map(({ invariant, what }) => `${invariant}: ${what}`);
  return same === false ? [...broken, "the same seed went another way the second time"] : broken;
}

function tell(one: Told): void {
  say(`\nseed ${one.seed} failed`);
  for (const line of failuresOf(one).slice(0, 5)) say(`  did not hold: ${line}`);
  for (const line of one.history) say(`    ${line}`);
  say(`  replay: bun run simulate${values.rollouts ? " --rollouts" : ""} --seed ${one.seed} --replay`);
}

function end(told: readonly Told[], milliseconds: number): never {
  const failed = told.filter((one) => failuresOf(one).length > 0);
  const sum = (of: (one: Told) => number): number => told.reduce((total, one) => total + of(one), 0);
  const days = sum(({ lasted }) => lasted / 86_400_000);
  const hours = sum(({ awake }) => awake / 3_600_000).toFixed(1);
  const twice = told.filter(({ same }) => same !== null).length;
  const pace =
    milliseconds === 0
      ? ""
      : ` in ${(milliseconds / 1000).toFixed(1)} s, ${Math.round((days / milliseconds) * 60_000)} days a minute`;
  say(
    `${days.toFixed(1)} simulated days${pace}, in ${hours} hours of them the agents ran; ${sum(({ steps }) => steps)} steps, ${sum(({ changes }) => changes)} ${values.rollouts ? "commands" : "changes of the cloud"}, ${twice} worlds run twice`,
  );
  say(`${told.length - failed.length} passed, ${failed.length} failed`);
  process.exit(failed.length === 0 && told.length > 0 ? 0 : 1);
}

if (values.worker !== undefined) await asWorker(number(values.worker));
else if (values.replay) await show();
else await all();
