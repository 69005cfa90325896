import "reflect-metadata";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import type { Json } from "../../agent/wire/canonical.ts";
import { readIntents, readSeen } from "../../control/known.ts";
import { send } from "../../control/send.ts";
import { MAX_POLICY_BYTES } from "../../policy/limits.ts";
import { type Agent, type Answer, CLUSTER, enrolled, intent, outcome, startWorld, type World } from "./client.ts";

let world: World;
let agent: Agent;
beforeEach(async () => {
  world = await startWorld(1);
  agent = await enrolled(world);
  await agent.report(0);
});
afterEach(() => world.end());

const POLICY = `version: 1
revision: 7
cluster: ${CLUSTER}
vendor: vendor.example
place: { cloud: local }
people: {}
signers: {}
share: [policy]
dry_run: allowed
rules: []
tests: []
`;
const digestOf = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;
const share = (text: string | null, digest = digestOf(text ?? POLICY)): Promise<Answer> =>
  agent.post("/v1/shared", { kind: "policy", digest, text });
/** The agent hands in that this policy is in force (or, with a code, that it refuses everything). */
async function inForce(text: string, code: string | null = null): Promise<void> {
  agent.append({ kind: "policy", policy: digestOf(text), revision: 7, code });
  await agent.report(agent.lines.length - 1);
}
const kept = async (): Promise<string[]> =>
  (await world.store.transaction((sql) => sql.rows<{ body: string }>("select body from shared"))).map(
    (row) => row.body,
  );

test("a shared policy is kept when the newest policy entry names it, and is forgotten when the customer says so", async () => {
  await inForce(POLICY);
  expect(await share(POLICY)).toEqual({ status: 200, body: {} });
  expect(await share(POLICY)).toEqual({ status: 200, body: {} });
  expect(await kept()).toEqual([POLICY]);
  expect((await share(null, digestOf("another"))).status).toBe(200);
  expect(await kept()).toEqual([POLICY]);
  expect((await share(null)).status).toBe(200);
  expect(await kept()).toEqual([]);
});

test("a text that no policy entry names, that another one names, or that refuses everything is not taken", async () => {
  expect((await share(POLICY)).body["code"]).toBe("conflict");
  await inForce(POLICY.replace("7", "8"));
  expect((await share(POLICY)).body["code"]).toBe("conflict");
  await inForce(POLICY, "policy.tests-fail");
  expect((await share(POLICY)).body["code"]).toBe("conflict");
  expect(await kept()).toEqual([]);
});

test("a policy entry that names another text, or says that the policy refuses everything, ends the sharing by itself", async () => {
  for (const [text, code] of [
    [POLICY.replace("[policy]", "[]"), null],
    [POLICY, "policy.permission"],
  ] as const) {
    await inForce(POLICY);
    expect((await share(POLICY)).status).toBe(200);
    expect(await kept()).toEqual([POLICY]);
    await inForce(text, code);
    expect(await kept()).toEqual([]);
  }
});

test("a new epoch forgets what the older agent shared", async () => {
  await inForce(POLICY);
  await share(POLICY);
  await enrolled(world);
  expect(await kept()).toEqual([]);
});

test("what is hostile is refused, and nothing of it is kept", async () => {
  expect((await share(POLICY, digestOf("another"))).body["code"]).toBe("malformed");
  for (const text of [
    "not: [a policy",
    `${POLICY}# &anchor\nx: *anchor\n`,
    POLICY.replace("[policy]", "[]"),
    "[".repeat(MAX_POLICY_BYTES - 1),
    "\ud800",
    "€".repeat(MAX_POLICY_BYTES - 1),
  ]) {
    await inForce(text);
    expect(["malformed", "too-large"]).toContain(String((await share(text)).body["code"]));
  }
  expect(await kept()).toEqual([]);
  const form = { kind: "policy", digest: digestOf(POLICY), text: POLICY };
  for (const body of [
    { ...form, kind: "manifest" },
    { ...form, more: 1 },
    { ...form, digest: "7" },
    { ...form, text: "" },
    { kind: "policy", digest: form.digest },
    { ...form, text: "x".repeat(MAX_POLICY_BYTES + 1) },
    { ...form, text: '"'.repeat(2 * MAX_POLICY_BYTES) },
  ])
    expect(["malformed", "too-large"]).toContain(String((await agent.post("/v1/shared", body)).body["code"]));
});

test("a text that was found to be no policy is not parsed again and again", async () => {
  const text = "[".repeat(MAX_POLICY_BYTES - 1);
  await inForce(text);
  expect((await share(text)).body["code"]).toBe("malformed");
  const begun = performance.now();
  for (let again = 0; again < 10; again++) expect((await share(text)).body["code"]).toBe("malformed");
  expect(performance.now() - begun).toBeLessThan(3000);
}, 60_000);

async function handed(count: number): Promise<string> {
  const asked = { action: "scale", args: { group: "g", count } } as const;
  const wish = { dir: world.dir, cluster: CLUSTER, asked, by: "maria", why: "load", lifetime: 600, dryRun: false };
  await send(world.store, wish, world.signer);
  return ((await agent.poll()).body["commands"] as string[])[0] ?? "";
}
const seen = () => world.store.transaction((sql) => readSeen(sql, { cluster: CLUSTER, epoch: agent.epoch }, "group:g"));
async function report(...bodies: Record<string, Json>[]): Promise<void> {
  const from = agent.lines.length;
  for (const body of bodies) agent.append(body);
  expect((await agent.report(from)).body).toEqual({ next: agent.lines.length });
}

test("what entries say of a resource is known: found by a dry run, unknown while at work, as asked once it succeeded", async () => {
  expect(await seen()).toBeNull();
  const first = await handed(3);
  await report({ ...intent(first), found: { count: 2 } });
  expect(await seen()).toEqual({ state: null, position: 1 });
  await report(outcome(first, 1, "succeeded"));
  expect(await seen()).toEqual({ state: { action: "scale", count: 3 }, position: 2 });
  const second = await handed(4);
  await report(intent(second), outcome(second, 3, "unknown"));
  expect(await seen()).toEqual({ state: null, position: 4 });
  const { resource: _, csr: __, ...dry } = intent(await handed(5));
  await report({ ...dry, kind: "considered", found: { count: 9 } });
  expect(await seen()).toEqual({ state: { action: "scale", count: 9 }, position: 5 });
  const times = await world.store.transaction((sql) =>
    readIntents(sql, { cluster: CLUSTER, epoch: agent.epoch }, "r", 0),
  );
  expect(times).toEqual([Date.parse("2026-11-24T09:14:07.412Z"), Date.parse("2026-11-24T09:14:07.412Z")]);
});

const inventory = (groups: Json, policy = digestOf(POLICY)): Promise<Answer> =>
  agent.post("/v1/shared", { kind: "inventory", policy, groups });
const inventories = async (): Promise<string[]> =>
  (await world.store.transaction((sql) => sql.rows<{ body: string }>("select body from inventories"))).map(
    (row) => row.body,
  );

test("an inventory is kept while the newest policy entry names the policy that shares it, and forgotten with it", async () => {
  const group = { group: "brokers", image: "ami-1", count: 3, healthy: 3 };
  expect((await inventory([group])).body["code"]).toBe("conflict");
  await inForce(POLICY);
  expect(await inventory([group])).toEqual({ status: 200, body: {} });
  expect(await inventories()).toEqual([JSON.stringify([group])]);
  expect((await inventory(null, digestOf("another"))).status).toBe(200);
  expect((await inventories()).length).toBe(1);
  expect((await inventory(null)).status).toBe(200);
  expect(await inventories()).toEqual([]);
  await inventory([group]);
  await inForce(POLICY.replace("revision: 7", "revision: 8"));
  expect(await inventories()).toEqual([]);
  expect((await inventory([group])).body["code"]).toBe("conflict");
});

test("an inventory with more groups than a policy can share, or with a field that nobody knows, is not taken", async () => {
  await inForce(POLICY);
  const group = (n: number): Json => ({ group: `g${n}`, image: null, count: 0, healthy: 0 });
  expect((await inventory(Array.from({ length: 65 }, (_, n) => group(n)))).status).toBe(400);
  expect((await inventory([{ ...(group(1) as object), packages: [] }])).status).toBe(400);
  expect(await inventories()).toEqual([]);
});
