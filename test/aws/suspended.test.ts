/** The owner's switch is read once more on the connection that stands: what is switched off while a connection is being opened does not go out. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { came } from "./account.ts";
import { type Stage, stage } from "./stage.ts";
import { type Moto, startMoto } from "./world/moto.ts";

let moto: Moto;
let s: Stage;
let slow: ChildProcess;
let said = "";
let port = 0;
beforeAll(async () => {
  moto = await startMoto();
  s = await stage(moto);
  await s.kill();
  const endpoint = s.cloud.endpoints.autoscaling;
  slow = spawn("python3", [join(import.meta.dir, "slow.py"), String(new URL(endpoint).port)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  slow.stdout?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  await s.machine.until("the slow port listens", () => said.includes("\n"), 60);
  port = Number(said.split("\n")[0]);
  const config = readFileSync(s.machine.config, "utf8");
  writeFileSync(s.machine.config, config.replace(endpoint, `http://127.0.0.1:${port}`));
  await s.start();
}, 600_000);
afterAll(async () => {
  slow?.kill("SIGKILL");
  await s?.end();
  await moto?.stop();
}, 60_000);

async function tell(word: "hold" | "go", answer: string): Promise<void> {
  slow.stdin?.write(`${word}\n`);
  await s.machine.until(answer, () => said.includes(`${answer}\n`), 60);
}
/** Whether somebody's SYN to the port is not answered yet (tcp_states.h: 02). */
function isConnecting(): boolean {
  const to = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readFileSync("/proc/net/tcp", "utf8").includes(` ${to} 02 `);
}
/** Bytes that came on each connection since the port was told to go on, in the order of their ends. */
const bytes = (): number[] =>
  [...(said.split("taking\n")[1] ?? "").matchAll(/ended (\d+)\n/g)].map(([, n]) => Number(n));

test("the switch is deleted while the change's connection is being opened: no byte arrives on it, and the outcome says suspended", async () => {
  // The last thing that is read before the change: from its answer on the port takes no connection.
  s.cloud.at("DescribeScalingActivities", "after", () => tell("hold", "held"));
  const { command } = await s.scale(4, false);
  await s.machine.until("the change's connection is being opened", isConnecting, 60);
  rmSync(join(s.machine.owner, "on"));
  await tell("go", "taking");
  await s.machine.until("the outcome", () => s.outcomeOf(command) !== null, 60);
  expect(s.outcomeOf(command)).toMatchObject({ result: "failed", code: "suspended", changed: [] });
  // It is not among the calls that were made.
  const made = s.outcomeOf(command)?.operations?.map(({ operation }) => operation) ?? [];
  expect(made).toContain("autoscaling:DescribeScalingActivities");
  expect(made).not.toContain("autoscaling:SetDesiredCapacity");
  // The filler's connection and the change's: both came, and nothing on either.
  await s.machine.until("both connections ended", () => bytes().length >= 2, 60);
  expect(bytes()).toEqual([0, 0]);
  expect(came(s.cloud, "SetDesiredCapacity")).toEqual([]);
  expect((await s.cloud.look.group()).desired).toBe(2);
}, 240_000);

test("switched on again, the same change goes out", async () => {
  writeFileSync(join(s.machine.owner, "on"), "on\n", { mode: 0o644 });
  await s.machine.until("it is on", () => s.machine.reeve(["status"], "--json").code === 0, 60);
  expect((await s.scale(4)).code).toBe(0);
  expect(came(s.cloud, "SetDesiredCapacity")).toHaveLength(1);
  expect((await s.cloud.look.group()).desired).toBe(4);
}, 240_000);
