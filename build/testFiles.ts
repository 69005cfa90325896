/**
 * Runs test files, each in a process group of its own that ends with it, a few at once. What a file prints is shown whole when it has
 * ended, so that two files never mix.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, toolEnvironment } from "./command.ts";

const TEST_TIMEOUT_MILLISECONDS = 60_000;
const FILE_TIMEOUT_SECONDS = 900;
/** More files at once than processors only make the tests wait for each other. */
const MAX_LANES = 3;
/** Beyond so many the fault is not the company that a file had. */
const MAX_FILES_ALONE = 10;
/** A file that took longer than this when nothing else ran belongs here: begun last, it would keep one lane busy alone. */
const LONGEST_FIRST = [
  "test/crash/",
  "test/hostile/",
  "test/firewall/",
  "test/bucket/",
  "test/aws/crash",
  "test/azure/crash",
  "test/gcp/crash",
  "test/acme/crash",
  "test/evidence/damage",
  "test/witness/",
  "test/simulation/worlds",
  "test/fleet/onPostgres",
  "test/simulation/interleavings",
  "test/pages/shown",
  "test/permissions/lint",
  "test/ui/checked",
];

export type Case = { name: string; result: "passed" | "failed" | "skipped" };
/** How a file went: `fault` when it did not end as a file of passing tests does, though no case of it says why. */
export type FileRun = { readonly file: string; readonly cases: readonly Case[]; readonly fault: string | null };

/** Test files below a folder of the project, in the order to begin them. */
export function testFiles(folder: string): string[] {
  const files = readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .sort()
    .map((name) => `${folder}/${name}`);
  const isLong = (file: string): boolean => LONGEST_FIRST.some((start) => file.startsWith(start));
  return [...files.filter(isLong), ...files.filter((file) => !isLong(file))];
}

function plain(text: string): string {
  return text
    .replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'")
    .replaceAll("&#39;", "'")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}

/** The cases of a JUnit report as `bun test` writes it: `<testcase …/>`, or with a body that says failure or skipped. */
export function casesOf(report: string): Case[] {
  return [...report.matchAll(/<testcase\b([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)].map((found) => {
    const body = found[2] ?? "";
    const name = plain(/ name="([^"]*)"/.exec(found[1] ?? "")?.[1] ?? "(without a name)");
    if (/<(?:failure|error)\b/.test(body)) return { name, result: "failed" };
    return { name, result: /<skipped\b/.test(body) ? "skipped" : "passed" };
  });
}

export function isGood(run: FileRun): boolean {
  return run.fault === null && run.cases.every(({ result }) => result !== "failed");
}

/** Runs them all; `LANES=N` says how many at once. What `report` throws ends everything. */
export async function runAll(
  files: readonly string[],
  lanes: "several" | "one",
  report: (run: FileRun) => void,
): Promise<void> {
  const several = Number(process.env["LANES"] ?? Math.min(MAX_LANES, availableParallelism()));
  const wanted = lanes === "one" ? 1 : several;
  if (!Number.isInteger(wanted) || wanted < 1) throw new Error("LANES is a number of test files at once, 1 or more");
  const scratch = mkdtempSync(join(tmpdir(), "reeve-check-"));
  process.once("exit", () => rmSync(scratch, { recursive: true, force: true }));
  const rest = files.values();
  const lane = async (number: number): Promise<void> => {
    for (const file of rest) report(await runFile(file, join(scratch, String(number))));
  };
  await Promise.all(Array.from({ length: wanted }, (_, number) => lane(number)));
}

/**
 * A file that failed while others ran beside it is run once more, alone, at the end: what fails then fails. What passes is said to be
 * `unsteady` by name, never passed over. Not done when so many failed that their company cannot be why.
 */
export async function runSteadily(
  files: readonly string[],
  run: (files: readonly string[], lanes: "several" | "one", report: (run: FileRun) => void) => Promise<void>,
): Promise<{ readonly runs: readonly FileRun[]; readonly unsteady: readonly string[] }> {
  const runs = new Map<string, FileRun>();
  await run(files, "several", (done) => runs.set(done.file, done));
  const bad = [...runs.values()].filter((done) => !isGood(done));
  if (bad.length === 0 || bad.length > MAX_FILES_ALONE) return { runs: [...runs.values()], unsteady: [] };
  const unsteady: string[] = [];
  await run(
    bad.map(({ file }) => file),
    "one",
    (again) => {
      const before = runs.get(again.file);
      if (before !== undefined && isGood(again)) unsteady.push(...whatFailed(before));
      runs.set(again.file, again);
    },
  );
  return { runs: [...runs.values()], unsteady };
}

/** The names of what failed in a file. */
export function whatFailed({ file, cases, fault }: FileRun): string[] {
  const failed = cases.filter(({ result }) => result === "failed").map(({ name }) => `${file}: ${name}`);
  return fault === null || failed.length > 0 ? failed : [`${file}: ${fault}`];
}

const running = new Set<ChildProcess>();
process.once("exit", () => running.forEach(endGroup));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

/** The whole group: what a test forgot to end, ends with it. */
function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function runFile(file: string, scratch: string): Promise<FileRun> {
  const report = `${scratch}.xml`;
  const said = `${scratch}.txt`;
  rmSync(report, { force: true });
  const output = openSync(said, "w");
  const child = spawn(
    process.execPath,
    ["test", `./${file}`, `--timeout=${TEST_TIMEOUT_MILLISECONDS}`, "--reporter=junit", `--reporter-outfile=${report}`],
    {
      cwd: ROOT,
      env: { ...toolEnvironment(), PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` },
      stdio: ["ignore", output, output],
      detached: true,
    },
  );
  running.add(child);
  const ended = await new Promise<string | null>((resolve, reject) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      endGroup(child);
    }, FILE_TIMEOUT_SECONDS * 1000);
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      if (late) resolve(`was ended after ${FILE_TIMEOUT_SECONDS} s`);
      else resolve(code === 0 ? null : `ended with ${signal ?? `exit code ${code}`}`);
    });
  });
  running.delete(child);
  endGroup(child);
  closeSync(output);
  process.stdout.write(`\n== ${file}\n`);
  if (statSync(said).size > 0) process.stdout.write(readFileSync(said));
  const cases = existsSync(report) ? casesOf(readFileSync(report, "utf8")) : [];
  if (cases.length === 0) return { file, cases, fault: ended === null ? "no test ran" : `no test ran: it ${ended}` };
  // A failed case is why the process ended badly.
  const told = cases.some(({ result }) => result === "failed");
  return { file, cases, fault: told ? null : ended };
}
