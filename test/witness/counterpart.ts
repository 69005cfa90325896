import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { programPath, requireDebian } from "../tools.ts";

const GO = "/usr/local/go/bin/go";
let built: string | null = null;

/** The Go program of test/witness/go, built from the Go proxy: a client of witnesses and a witness that were not written here. */
export function counterpart(): string {
  if (built !== null) return built;
  if (!existsSync(GO)) requireDebian({ go: "golang-go" });
  const go = existsSync(GO) ? GO : (programPath("go") ?? "go");
  const folder = join(mkdtempSync(join(tmpdir(), "reeve-witness-")), "go");
  cpSync(join(import.meta.dir, "go"), folder, { recursive: true });
  const done = spawnSync(go, ["build", "-o", "wit", "."], { cwd: folder, encoding: "utf8", timeout: 500_000 });
  if (done.status !== 0) throw new Error(`Cannot build the Go program: ${done.error?.message ?? done.stderr}`);
  built = join(folder, "wit");
  return built;
}

export type Said = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** Runs a program beside this process, which may serve what it asks for. */
export function beside(program: string, args: readonly string[], input = ""): Promise<Said> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
    child.stdin.end(input);
  });
}

/** Starts a server; resolves with the JSON of its first line. */
export function started<T>(
  program: string,
  args: readonly string[],
): Promise<{ readonly child: ChildProcess; readonly said: T }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    let [text, errors] = ["", ""];
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes("\n")) resolve({ child, said: JSON.parse(text.split("\n")[0] ?? "") as T });
    });
    child.once("exit", (code) => reject(new Error(`ended with ${code} before its first line: ${errors}`)));
  });
}

export async function ended(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await gone;
}
