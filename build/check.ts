/**
 * `bun run check`: says by one command whether all is well. Every gate counts as one check, every test as one; the last line is
 * `N passed, N failed, N skipped`. Exit code 0 only when nothing failed. With CI=true a skip that is not in MAY_SKIP is a failure.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageProgram, ROOT, run, toolEnvironment } from "./command.ts";

const TEST_TIMEOUT_MILLISECONDS = 60_000;
const FILE_TIMEOUT_SECONDS = 600;

/** Full names of tests that may be skipped in CI, with the reason why a CI machine cannot run them. */
const NO_TERRAFORM =
  "neither Terraform nor its AWS provider is in a registry that a CI machine reaches; some have them";
const MAY_SKIP: ReadonlyMap<string, string> = new Map([
  ["terraform validate accepts deploy/aws, and it is formatted as terraform fmt does", NO_TERRAFORM],
  [
    "what is planned for deploy/aws is as its own tests claim, and inputs that would permit more are refused",
    NO_TERRAFORM,
  ],
]);

/** Programs and C headers (by their path) that the tests need for counterparts, and the Debian package that brings each. */
const NEEDED = [
  { program: "named", debian: "bind9" },
  { program: "dig", debian: "bind9-dnsutils" },
  { program: "nsupdate", debian: "bind9-dnsutils" },
  { program: "fish", debian: "fish" },
  { program: "strace", debian: "strace" },
  { program: "time", debian: "time" },
  { program: "zsh", debian: "zsh" },
  { program: "openssl", debian: "openssl" },
  { program: "ssh-keygen", debian: "openssh-client" },
  { program: "softhsm2-util", debian: "softhsm2" },
  { program: "pkcs11-tool", debian: "opensc" },
  { program: "python3", debian: "python3" },
  { program: "/usr/bin/pip3", debian: "python3-pip" },
  { program: "ps", debian: "procps" },
  { program: "chromium", debian: "chromium" },
  { program: "setpriv", debian: "util-linux" },
  { program: "go", debian: "golang-go" },
  { program: "tinyproxy", debian: "tinyproxy" },
  { program: "squid", debian: "squid-openssl" },
  { program: "cc", debian: "gcc" },
  { program: "/usr/bin/pip3", debian: "python3-pip" },
  { program: "/usr/lib/python3/dist-packages/botocore/data", debian: "python3-botocore" },
  { program: "/usr/include/stdlib.h", debian: "libc6-dev" },
  { program: "/usr/include/openssl/evp.h", debian: "libssl-dev" },
] as const;

type Tally = { passed: number; failed: string[]; skipped: string[] };
const tally: Tally = { passed: 0, failed: [], skipped: [] };

function count(name: string, good: boolean): void {
  process.stdout.write(`${good ? "pass" : "FAIL"}: ${name}\n`);
  if (good) tally.passed += 1;
  else tally.failed.push(name);
}

function gate(name: string, command: readonly [string, ...string[]]): void {
  process.stdout.write(`\n== ${name}\n`);
  count(name, run(command));
}

/** Whether a program can be found; a path is looked at itself. */
function isThere(program: string): boolean {
  if (program.startsWith("/")) return existsSync(program);
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];
  return folders.some((folder) => folder !== "" && existsSync(join(folder, program)));
}

/** Installs what the tests need from Debian. RUNLEVEL=1 keeps apt from starting a name server of its own. */
function install(): void {
  const missing = NEEDED.filter(({ program }) => !isThere(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(({ debian }) => debian))];
  process.stdout.write(`\n== installing Debian packages that the tests need: ${packages.join(" ")}\n`);
  if (process.getuid?.() !== 0 || !isThere("apt-get")) {
    process.stdout.write(
      `error: Cannot install them: this needs root and apt-get.\nhint: apt-get install ${packages.join(" ")}\n`,
    );
    count(`programs that tests need (${missing.map(({ program }) => program).join(", ")})`, false);
    return;
  }
  const quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-qq"] as const;
  const good = run([...quiet, "update"]) && run([...quiet, "install", "-y", "--no-install-recommends", ...packages]);
  count(`installed ${packages.join(" ")}`, good && missing.every(({ program }) => isThere(program)));
}

/** Test files below a folder of the project. */
function testFiles(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .sort()
    .map((name) => `${folder}/${name}`);
}

type Case = { name: string; result: "passed" | "failed" | "skipped" };

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

/** One file in one process, so that what a test leaves behind cannot reach the next. Its output is shown as it comes. */
function testFile(file: string, scratch: string): void {
  const report = join(scratch, "report.xml");
  rmSync(report, { force: true });
  process.stdout.write(`\n== ${file}\n`);
  const ended = spawnSync(
    process.execPath,
    ["test", `./${file}`, `--timeout=${TEST_TIMEOUT_MILLISECONDS}`, "--reporter=junit", `--reporter-outfile=${report}`],
    {
      cwd: ROOT,
      env: { ...toolEnvironment(), PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` },
      stdio: ["ignore", "inherit", "inherit"],
      timeout: FILE_TIMEOUT_SECONDS * 1000,
      killSignal: "SIGKILL",
    },
  );
  const cases = existsSync(report) ? casesOf(readFileSync(report, "utf8")) : [];
  for (const { name, result } of cases) {
    if (result === "passed") tally.passed += 1;
    else if (result === "failed") tally.failed.push(`${file}: ${name}`);
    else tally.skipped.push(name);
  }
  if (cases.length === 0) tally.failed.push(`${file}: no test ran`);
  else if (ended.status !== 0 && !cases.some(({ result }) => result === "failed")) {
    tally.failed.push(`${file}: ended with ${ended.signal ?? `exit code ${ended.status}`}`);
  }
}

function tests(folder: string): void {
  const files = testFiles(folder);
  if (files.length === 0) count("tests: there are none", false);
  const scratch = mkdtempSync(join(tmpdir(), "reeve-check-"));
  process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
  for (const file of files) testFile(file, scratch);
}

/** Prints what failed and what was skipped, then the last line; returns the exit code. */
function report(): number {
  process.stdout.write("\n");
  for (const name of tally.skipped) {
    const reason = MAY_SKIP.get(name);
    process.stdout.write(`skipped: ${name}${reason === undefined ? "" : ` (${reason})`}\n`);
    if (reason === undefined && process.env["CI"] === "true") tally.failed.push(`skipped in CI: ${name}`);
  }
  for (const name of tally.failed) process.stdout.write(`failed: ${name}\n`);
  process.stdout.write(`${tally.passed} passed, ${tally.failed.length} failed, ${tally.skipped.length} skipped\n`);
  return tally.failed.length === 0 ? 0 : 1;
}

/** `--only FOLDER`: what these tests need, the executables, and these tests alone. */
function only(folder: string): number {
  install();
  gate("build", [process.execPath, "build/build.ts"]);
  tests(folder);
  return report();
}

function check(): number {
  install();
  gate("lockfile", [process.execPath, "install", "--frozen-lockfile", "--dry-run"]);
  gate("format and lint", [packageProgram("biome"), "ci", "--colors=off", "."]);
  gate("types", [packageProgram("tsc"), "-p", "."]);
  gate("types of the page", [packageProgram("tsc"), "-p", "agent/ui/page"]);
  gate("dead code", [packageProgram("knip"), "--no-progress"]);
  gate("trust path", [process.execPath, "build/trust-path.ts"]);
  gate("build", [process.execPath, "build/build.ts"]);
  tests("test");
  return report();
}

if (import.meta.main) {
  const [flag, folder] = process.argv.slice(2);
  process.exit(flag === "--only" && folder !== undefined ? only(folder) : check());
}
