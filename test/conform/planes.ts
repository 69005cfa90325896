import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { programPath, requireDebian } from "../tools.ts";

const GO = "/usr/local/go/bin/go";
const DIST = resolve(import.meta.dirname, "../../dist");
export const CONTROL = join(DIST, "reeve-control");
const CLEAN = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };

const folder = mkdtempSync(join(tmpdir(), "reeve-conformance-"));
const children: ChildProcess[] = [];
let tiny: string | null = null;
let planes = 0;

/** The control plane of test/conform/tiny, which was written from docs/PROTOCOL.md alone. */
function builtTiny(): string {
  if (tiny !== null) return tiny;
  if (!existsSync(GO)) requireDebian({ go: "golang-go" });
  const source = join(folder, "tiny-source");
  cpSync(join(import.meta.dirname, "tiny"), source, { recursive: true });
  const done = spawnSync(existsSync(GO) ? GO : (programPath("go") ?? "go"), ["build", "-o", "tiny", "."], {
    cwd: source,
    encoding: "utf8",
    timeout: 300_000,
  });
  if (done.status !== 0) throw new Error(`Cannot build tiny: ${done.error?.message ?? done.stderr}`);
  tiny = join(source, "tiny");
  return tiny;
}

/** A control plane that runs: what `conform` is told to look at. */
export type Plane = { readonly words: readonly string[]; end(): Promise<void> };

export async function startTiny(mistake?: string): Promise<Plane> {
  const program = builtTiny();
  const socket = join(folder, `admin-${++planes}`);
  const flags = mistake === undefined ? [] : ["-break", mistake];
  const { child, line } = await started(program, ["serve", "-admin", socket, ...flags]);
  const { enrol } = JSON.parse(line) as { enrol: string };
  return { words: [enrol, "--driver", `${program} drive ${socket}`], end: () => ended(child) };
}

export async function startReference(): Promise<Plane> {
  const dir = join(folder, `control-${++planes}`);
  const keys = join(folder, `keys-${planes}`);
  const made = spawnSync(CONTROL, ["keys", "init", "--keys", keys], { env: CLEAN, encoding: "utf8" });
  if (made.status !== 0) throw new Error(`keys init: ${made.stderr}`);
  const at = ["--enrol", "127.0.0.1:0", "--agents", "127.0.0.1:0"];
  const { child, line } = await started(CONTROL, ["serve", "--dir", dir, ...at]);
  const { enrol } = JSON.parse(line) as { enrol: string };
  return { words: [`https://${enrol}`, "--dir", dir, "--keys", keys], end: () => ended(child) };
}

/** Ends what a test left running. */
export async function endPlanes(): Promise<void> {
  await Promise.all(children.map(ended));
  rmSync(folder, { recursive: true, force: true });
}

function started(program: string, args: readonly string[]): Promise<{ child: ChildProcess; line: string }> {
  return new Promise((resolve, reject) => {
    // Its standard input stays open: it ends with this process.
    const child = spawn(program, args, { env: CLEAN, stdio: ["pipe", "pipe", "pipe"] });
    children.push(child);
    let [text, errors] = ["", ""];
    child.stderr.on("data", (part: Buffer) => {
      errors += part.toString();
    });
    child.stdout.on("data", (part: Buffer) => {
      text += part.toString();
      if (text.includes("\n")) resolve({ child, line: text.split("\n")[0] ?? "" });
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`ended with ${code} before its first line: ${errors}`)));
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

export type Said = { readonly code: number | null; readonly stdout: string; readonly stderr: string };
export function conform(...words: readonly string[]): Promise<Said> {
  return conformIn({}, () => undefined, ...words);
}

/** The same with more of an environment; `heard` is called with the program and all that it has said so far. */
export function conformIn(
  environment: Readonly<Record<string, string>>,
  heard: (child: ChildProcess, said: string) => void,
  ...words: readonly string[]
): Promise<Said> {
  return new Promise((resolve, reject) => {
    const child = spawn(CONTROL, ["conform", ...words], {
      env: { ...CLEAN, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.push(child);
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (part: Buffer) => {
      stdout += part.toString();
      heard(child, stdout);
    });
    child.stderr.on("data", (part: Buffer) => {
      stderr += part.toString();
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

export type Result = { readonly id: string; readonly result: string; readonly seen: string };
export type Sum = { readonly passed: number; readonly failed: number; readonly skipped: number };
/** What `--json` says: the cases, then the sum. */
export function readResults(said: Said): { readonly cases: readonly Result[]; readonly sum: Sum } {
  const lines = said.stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown);
  const sum = lines.pop();
  if (sum === undefined) throw new Error(`conform said nothing: ${said.stderr}`);
  return { cases: lines as Result[], sum: sum as Sum };
}

export type Listed = { readonly id: string; readonly section: string; readonly core: boolean };
export async function listed(): Promise<readonly Listed[]> {
  const said = await conform("--list", "--json");
  return (JSON.parse(said.stdout) as { cases: Listed[] }).cases;
}
