import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../../build/command.ts";
import { freePort } from "../../demo/bind.ts";
import { requireDebian } from "../../tools.ts";

export const ACCOUNT = "111122223333";
const REQUIREMENTS = join(import.meta.dirname, "requirements.txt");
const START_MILLISECONDS = 60_000;

/** A moto server in a process of its own. Everything in it is gone when it stops. */
export type Moto = {
  readonly port: number;
  /** From now on IAM judges every call; `false`: none. It judges actions only, as if every resource were `*` and no condition held. */
  judge(on: boolean): Promise<void>;
  stop(): Promise<void>;
};

/**
 * The Python environment that moto runs in, made once: `.cache/python-DIGEST/`, where DIGEST is of the pinned requirements. The file
 * `made` is written last: without it the folder is half made, and is made anew.
 */
export function python(requirements: string = REQUIREMENTS): string {
  requireDebian({ "/usr/bin/python3": "python3", "/usr/bin/pip3": "python3-pip" });
  const digest = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 16);
  const folder = join(ROOT, ".cache", `python-${digest}`);
  const program = join(folder, "bin", "python");
  if (existsSync(join(folder, "made"))) return program;
  console.log("making a Python environment under .cache/ from PyPI, once per machine: about a minute");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  const run = (command: string, words: readonly string[]) => {
    const done = spawnSync(command, words, { encoding: "utf8", timeout: 500_000 });
    if (done.status !== 0) throw new Error(`${command} ${words.join(" ")}: ${done.error ?? done.stderr}`);
  };
  run("/usr/bin/python3", ["-m", "venv", "--without-pip", folder]);
  run("/usr/bin/pip3", ["--python", program, "install", "--quiet", "--no-deps", "--requirement", requirements]);
  writeFileSync(join(folder, "made"), "");
  return program;
}

/** Whether a server answers there. */
export async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    (answer) => answer.ok,
    () => false,
  );
}

/** Starts moto on a free loopback port, IAM off. */
export async function startMoto(): Promise<Moto> {
  const program = python();
  const port = await freePort();
  const child: ChildProcess = spawn(program, ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { MOTO_ACCOUNT_ID: ACCOUNT, PATH: "/usr/bin:/bin", PYTHONDONTWRITEBYTECODE: "1" },
  });
  let said = "";
  child.stderr?.on("data", (bytes: Buffer) => {
    said = (said + bytes.toString()).slice(-4000);
  });
  const base = `http://127.0.0.1:${port}/moto-api`;
  const until = performance.now() + START_MILLISECONDS;
  while (!(await answers(`${base}/data.json`))) {
    if (child.exitCode !== null || performance.now() > until) throw new Error(`moto does not start: ${said}`);
    await Bun.sleep(50);
  }
  return {
    port,
    async judge(on) {
      const answer = await fetch(`${base}/reset-auth`, { method: "POST", body: on ? "0" : "1e12" });
      if (!answer.ok) throw new Error(`moto: reset-auth ${answer.status}`);
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    },
  };
}
