/** A control plane that was away for longer than a certificate and its grace: the compiled agent ends by itself, and enrols anew by its platform. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { openSqlite } from "../../control/sqlite.ts";
import type { Store } from "../../control/store.ts";
import { CONTROL, REEVE, running, type World as Vendor } from "../e2e/world.ts";
import { age } from "./aged.ts";
import { type AwsSide, awsSide, vendorOf } from "./awsStage.ts";

const GRACE_MS = 7 * 86_400_000;
let aws: AwsSide;
let vendor: Vendor;
let store: Store;
beforeAll(async () => {
  aws = await awsSide();
  vendor = await vendorOf(aws);
  store = await openSqlite(join(vendor.data, "state.db"));
}, 600_000);
afterAll(async () => {
  store?.close();
  await vendor?.end();
  await aws?.stop();
}, 60_000);

type Status = { state: string; reason: string; epoch: number | null };
/** Not blocking: this process serves the metadata service. */
const status = async (): Promise<Status> => {
  const shown = await running(REEVE, "status", "--config", vendor.config, "--json");
  return shown.stdout.startsWith("{") ? (JSON.parse(shown.stdout) as Status) : { state: "", reason: "", epoch: null };
};
const until = async (what: string, holds: () => boolean | Promise<boolean>, seconds = 120): Promise<void> => {
  const end = performance.now() + seconds * 1000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`it never came to be: ${what}`);
    await Bun.sleep(100);
  }
};

test("an agent whose grace ends while the control plane is away stops with exit 5, and joins as the next epoch once both are back", async () => {
  const admitted = ["prod-eu-1", "--dir", vendor.data, "--aws", `${aws.cloud.account}/${aws.cloud.role}`];
  expect((await running(CONTROL, "admit", ...admitted)).code).toBe(0);
  const first = vendor.startAgent();
  await until("the agent is ready", async () => (await status()).state === "ready");
  const gone = new Promise((done) => first.once("exit", done));
  first.kill("SIGTERM");
  await gone;
  await vendor.stopControl();

  // It must be running before its grace ends: on a slow machine it is given longer, and tried again.
  let ended: number | null = null;
  for (const seconds of [10, 30, 60, 120]) {
    await age(
      { dir: vendor.data, store },
      "prod-eu-1",
      join(vendor.state, "identity"),
      Date.now() - GRACE_MS + seconds * 1000,
    );
    const agent = vendor.startAgent();
    const late = async (): Promise<boolean> => (await status()).reason.startsWith("Cannot reach");
    await until("it ends, or was too late", async () => agent.exitCode !== null || (await late()), seconds + 120);
    ended = agent.exitCode;
    if (ended !== null) break;
    const killed = new Promise((done) => agent.once("exit", done));
    agent.kill("SIGKILL");
    await killed;
  }
  expect(ended).toBe(5);
  expect(vendor.entries().at(-1)).toMatchObject({ kind: "stopped", why: "expired" });

  await vendor.startControl();
  vendor.startAgent();
  await until("it has joined anew", async () => {
    const { state, epoch } = await status();
    return state === "ready" && epoch === 2;
  });
  const shown = await running(CONTROL, "admit", "show", "prod-eu-1", "--dir", vendor.data, "--json");
  expect(JSON.parse(shown.stdout)).toMatchObject({ admissions: [{ used: 1, budget: 3 }] });
  // The log of the epoch before stands in the new one's first entry.
  const [opening] = vendor.entries() as { kind: string; epoch: number; before: string | null }[];
  expect(opening).toMatchObject({ kind: "epoch", epoch: 2 });
  expect(opening?.before).toContain("/epoch/1\n");
  const verified = await running(REEVE, "audit", "verify", "--config", vendor.config, "--ca", vendor.root);
  expect([verified.code, verified.stderr]).toEqual([11, ""]);
}, 600_000);
