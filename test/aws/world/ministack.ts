import { spawn } from "node:child_process";
import { join } from "node:path";
import { freePort } from "../../demo/bind.ts";
import { python } from "../../python.ts";
import { REGION } from "./admin.ts";
import { ACCOUNT, answers } from "./moto.ts";

const START_MILLISECONDS = 60_000;

/** A second AWS that is neither ours nor moto: it knows groups and zones, and no private authority. It judges no signature. */
export async function startMinistack(): Promise<{ readonly endpoint: string; stop(): Promise<void> }> {
  const program = python(join(import.meta.dirname, "ministack.txt"));
  const port = await freePort();
  const child = spawn(program, ["-m", "ministack"], {
    stdio: "ignore",
    env: {
      PATH: "/usr/bin:/bin",
      PYTHONDONTWRITEBYTECODE: "1",
      BIND_HOST: "127.0.0.1",
      GATEWAY_PORT: String(port),
      MINISTACK_ACCOUNT_ID: ACCOUNT,
      MINISTACK_REGION: REGION,
      SERVICES: "autoscaling,route53,ec2",
    },
  });
  const until = performance.now() + START_MILLISECONDS;
  while (!(await answers(`http://127.0.0.1:${port}/_ministack/health`))) {
    if (child.exitCode !== null || performance.now() > until) throw new Error("ministack does not start");
    await Bun.sleep(50);
  }
  return {
    endpoint: `http://127.0.0.1:${port}`,
    async stop() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    },
  };
}
