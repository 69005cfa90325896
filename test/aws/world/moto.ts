import { type ChildProcess, spawn } from "node:child_process";
import { freePort } from "../../demo/bind.ts";
import { python } from "../../python.ts";
import { REQUIREMENTS } from "./model.ts";

export const ACCOUNT = "111122223333";
const START_MILLISECONDS = 60_000;

/** A moto server in a process of its own. Everything in it is gone when it stops. */
export type Moto = {
  readonly port: number;
  /** From now on IAM judges every call; `false`: none. It judges actions only, as if every resource were `*` and no condition held. */
  judge(on: boolean): Promise<void>;
  stop(): Promise<void>;
};

/** Whether a server answers there. */
export async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    (answer) => answer.ok,
    () => false,
  );
}

/** Starts moto on a free loopback port, IAM off. */
export async function startMoto(): Promise<Moto> {
  const program = python(REQUIREMENTS);
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
