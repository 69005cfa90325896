/**
 * `bun run simulate:mutants [NAME…]`: each patch of mutants/ is a mistake that somebody could make. It is applied to a copy of the tree, and the
 * simulation has to find it within the number of seeds that its first line states. A patch that does not apply any more is a failure.
 */
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, toolEnvironment } from "../../build/command.ts";

const FOLDER = join(import.meta.dirname, "mutants");
/** What the simulation runs on. */
const NEEDED = ["agent", "build", "control", "policy", "providers", "test/simulation", "test/wire", "test/tools.ts"];
const NEEDED_FILES = ["package.json", "tsconfig.json"];
const AT_A_TIME = 2;

type Result = { readonly name: string; readonly found: boolean; readonly says: string };

/** `seeds: 200` on the first line, or `seeds: 60 of rollouts` for those worlds, then what the mistake is. */
function wishOf(name: string): { readonly seeds: number; readonly rollouts: boolean; readonly mistake: string } {
  const [first = "", mistake = ""] = readFileSync(join(FOLDER, name), "utf8").split("\n");
  const [, count, rollouts] = /^seeds: (\d+)( of rollouts)?$/.exec(first) ?? [];
  const seeds = Number(count);
  if (!Number.isSafeInteger(seeds) || mistake === "")
    throw new Error(`${name} does not begin with its seeds and its mistake`);
  return { seeds, rollouts: rollouts !== undefined, mistake };
}

async function tried(name: string): Promise<Result> {
  const { seeds, rollouts, mistake } = wishOf(name);
  const copy = mkdtempSync(join(tmpdir(), "reeve-mutant-"));
  try {
    for (const each of [...NEEDED, ...NEEDED_FILES]) cpSync(join(ROOT, each), join(copy, each), { recursive: true });
    symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
    const applied = spawnSync("git", ["apply", "-p1", join(FOLDER, name)], { cwd: copy, encoding: "utf8" });
    if (applied.status !== 0) return { name, found: false, says: `does not apply: ${applied.stderr.trim()}` };
    const { code, said } = await simulated(copy, seeds, rollouts);
    const seed = /^seed (\d+) failed$/m.exec(said)?.[1];
    const held = /^ {2}did not hold: (.{0,120})/m.exec(said)?.[1];
    if (code === 1 && seed !== undefined && held !== undefined)
      return { name, found: true, says: `${mistake}: seed ${seed} of ${seeds}: ${held}` };
    return {
      name,
      found: false,
      says: `${mistake}: ${seeds} seeds, exit ${code}: ${said.trimEnd().split("\n").at(-1)}`,
    };
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function simulated(
  copy: string,
  seeds: number,
  rollouts: boolean,
): Promise<{ readonly code: number | null; readonly said: string }> {
  return new Promise((resolve, reject) => {
    const words = ["test/simulation/simulate.ts", "--seeds", String(seeds), "--first", "--jobs", "1"];
    if (rollouts) words.push("--rollouts");
    const child = spawn(process.execPath, words, {
      cwd: copy,
      env: toolEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, said }));
  });
}

const wanted = process.argv.slice(2).map((name) => (name.endsWith(".patch") ? name : `${name}.patch`));
const known = readdirSync(FOLDER).filter((name) => name.endsWith(".patch"));
const strange = wanted.find((name) => !known.includes(name));
if (strange !== undefined) {
  process.stderr.write(`error: Cannot try the mistake: there is no ${strange} in test/simulation/mutants.\n`);
  process.exit(2);
}
const names = (wanted.length === 0 ? known : wanted).sort();
const results: Result[] = [];
const rest = names.values();
const lane = async (): Promise<void> => {
  for (const name of rest) {
    const result = await tried(name);
    results.push(result);
    process.stdout.write(`${result.found ? "found" : "NOT FOUND"}: ${name}: ${result.says}\n`);
  }
};
await Promise.all(Array.from({ length: AT_A_TIME }, lane));
const passed = results.filter(({ found }) => found).length;
process.stdout.write(`${passed} passed, ${results.length - passed} failed\n`);
process.exit(passed === results.length && passed > 0 ? 0 : 1);
