import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseCosigner } from "../../agent/audit/cosignature.ts";
import { send, type World, world } from "../e2e/world.ts";
import { beside, counterpart, ended, started } from "./counterpart.ts";
import { type Witness, witness } from "./world.ts";

/** The compiled agent with witnesses: ours, and transparency-dev's. */
beforeAll(() => {
  counterpart();
}, 580_000);

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
}, 60_000);

type Told = {
  state: string;
  reason: string;
  log: { size: number } | null;
  witnesses: { name: string; required: boolean; size: number; at: string | null; failing: null | { reason: string } }[];
};
const LONG = 90;

function told(w: World): Told {
  return JSON.parse(w.reeve(["status"], "--json").stdout) as Told;
}

/** A vendor, a machine, and one witness of ours that the config names. */
async function stage(required: boolean): Promise<{ w: World; to: Witness; agent: ChildProcess }> {
  const w = await world();
  ends.push(() => w.end());
  const to = witness(readFileSync(w.root, "utf8"));
  ends.push(() => to.end());
  await to.start();
  configure(w, { name: "ours", url: to.ready.url, key: to.ready.key, required });
  const agent = w.startAgent();
  await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0, LONG);
  return { w, to, agent };
}

function configure(w: World, ...witnesses: Record<string, unknown>[]): void {
  const text = readFileSync(w.config, "utf8").replace(/^witnesses: .*\n/m, "");
  writeFileSync(w.config, `${text}witnesses: ${JSON.stringify(witnesses)}\n`);
}

const covered = (w: World, name: string): boolean => {
  const now = told(w);
  const one = now.witnesses.find((each) => each.name === name);
  return one?.failing === null && one.size === now.log?.size && one.size > 0;
};

test("each entry is cosigned by the witness and the control plane, with a receipt at the vendor's, and both are shown", async () => {
  const { w, to } = await stage(false);
  expect(send(w, "scale", "--group", "brokers", "--count", "2").code).toBe(0);
  await w.until("both have cosigned all", () => covered(w, "ours") && covered(w, "the control plane"), LONG);
  const { size } = told(w).log ?? { size: 0 };
  expect(to.show().told).toMatchObject({ logs: [{ size, ended_by: null }], refused: [] });
  const fleet = JSON.parse(w.vendor("fleet", "--json").stdout) as {
    clusters: { entries: number; witnessed: { cosigned: { size: number }; receipts: number; missing: null } }[];
  };
  expect(fleet.clusters[0]).toMatchObject({ entries: size, witnessed: { cosigned: { size }, receipts: size, missing: null } });
  const cosigned = readFileSync(join(w.state, "audit/cosigned"), "utf8");
  expect(cosigned).toContain(`\u2014 ${to.ready.name} `);
  expect(w.reeve(["status"]).stdout).toContain(`witness  ours: cosigned ${size} entries`);
});
