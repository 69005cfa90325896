import "reflect-metadata";
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, spyOn, test } from "bun:test";
import { send } from "../../control/send.ts";
import { CLUSTER, enrolled, intent, makeCsr, makeKey, outcome, startWorld, type World } from "./client.ts";

/** Grow with the fleet, or with its history: looked through whole, each agent's poll would cost as much as there are agents. */
const GROW = new Set(
  `certificates clusters commands copies cosigned entries intents inventories known log_keys logs manifests proven receipts
   replaced_processes retired_certificates revisions rollout_clusters rollout_commands seen_heads shared tokens trust used_nonces`.split(
    /\s+/,
  ),
);

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.end());

test("what an agent costs does not grow with the fleet: joining, reporting, polling, renewing look through no table whole", async () => {
  const asked = new Set<string>();
  const query = Database.prototype.query;
  const spied = spyOn(Database.prototype, "query").mockImplementation(function (this: Database, text: string) {
    asked.add(text);
    return query.call(this, text);
  } as typeof query);
  try {
    // Twice: a second enrolment replaces the first.
    await enrolled(world);
    const agent = await enrolled(world);
    await agent.report(0);
    const asking = { action: "scale", args: { group: "g", count: 1 } } as const;
    const wish = { dir: world.dir, cluster: CLUSTER, by: "maria", why: "load", lifetime: 600, dryRun: false };
    await send(world.store, { ...wish, asked: asking }, world.signer);
    const [jws] = (await agent.poll()).body["commands"] as string[];
    agent.append(intent(jws ?? ""));
    agent.append(outcome(jws ?? "", 1, "succeeded"));
    expect((await agent.report(1)).status).toBe(200);
    expect((await agent.poll()).status).toBe(200);
    expect((await agent.post("/v1/renew", { csr: await makeCsr(await makeKey()) })).status).toBe(200);
  } finally {
    spied.mockRestore();
  }
  const file = new Database(`${world.dir}/state.db`, { readonly: true });
  const whole: string[] = [];
  for (const text of [...asked].filter((one) => /^\s*(?:select|update|delete|insert)/i.test(one))) {
    const plan = file.query(`explain query plan ${text}`).all() as { detail: string }[];
    for (const { detail } of plan) {
      const table = /^SCAN (\w+)/.exec(detail)?.[1] ?? "";
      if (GROW.has(table)) whole.push(`${detail}: ${text.replaceAll(/\s+/g, " ")}`);
    }
  }
  file.close();
  expect(asked.size).toBeGreaterThan(30);
  expect(whole).toEqual([]);
});
