import "reflect-metadata";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { cosignedAt } from "../../agent/audit/cosignature.ts";
import { inclusionProof, leafHash } from "../../agent/audit/tree.ts";
import type { Json } from "../../agent/wire/canonical.ts";
import { fleetText, readFleet } from "../../control/fleet.ts";
import { readStatements } from "../../control/statement.ts";
import { type Agent, type Answer, CLUSTER, enrolled, startWorld, type World } from "./client.ts";

/** The control plane as a witness, and the receipts that it keeps. */
let world: World;
let agent: Agent;
beforeEach(async () => {
  world = await startWorld();
  agent = await enrolled(world);
  while (agent.lines.length < 9) agent.append({ kind: "stopped", why: `life ${agent.lines.length}` });
  await agent.report(0);
});
afterEach(() => world.end());

type Receipts = { from: number; paths: string[][] } | null;
const witness = (checkpoint: string, receipts: Receipts = null, refused: Json[] = []): Promise<Answer> =>
  agent.post("/v1/witness", { checkpoint, receipts, refused });
const receipts = (from: number, to: number, size = agent.lines.length): NonNullable<Receipts> => {
  const leaves = agent.lines.slice(0, size).map(leafHash);
  const path = (index: number): string[] => inclusionProof(leaves, index).map((hash) => hash.toString("base64"));
  return { from, paths: Array.from({ length: to - from }, (_, at) => path(from + at)) };
};
const shown = async () => {
  const fleet = await world.store.transaction(readFleet);
  const [one] = fleet;
  if (one === undefined) throw new Error("the fleet is empty");
  return { witnessed: one.witnessed, alarms: one.alarms.map(({ kind }) => kind), text: fleetText(fleet) };
};

test("it cosigns the head of what was handed in, by the key that its trust statement names", async () => {
  const head = agent.checkpoint();
  const answer = await witness(head);
  expect(answer).toMatchObject({ status: 200, body: { receipts: 0 } });
  const [statement] = await world.store.transaction((sql) => readStatements(sql, CLUSTER));
  const [key] = statement?.claims.witness_keys ?? [];
  const by = { name: key?.kid ?? "", publicKey: Buffer.from(key?.x ?? "", "base64url") };
  expect(cosignedAt(`${head}${answer.body["cosignature"]}`, by)).toBeGreaterThan(1_790_000_000);
  expect((await shown()).witnessed).toMatchObject({ cosigned: { size: 9 } });
});

test("receipts are verified and kept; a late one is shown until it comes", async () => {
  await witness(agent.checkpoint());
  expect(await shown()).toMatchObject({ witnessed: { receipts: 0, missing: 0 } });
  expect((await shown()).text).toContain(`${CLUSTER}: no receipt of entry 0`);
  expect((await witness(agent.checkpoint(), receipts(0, 5))).body["receipts"]).toBe(5);
  expect((await witness(agent.checkpoint(), receipts(5, 9))).body["receipts"]).toBe(9);
  expect(await shown()).toMatchObject({ witnessed: { receipts: 9, missing: null }, alarms: [] });
  expect((await shown()).text).not.toContain("no receipt");
});

test("a receipt that its entry contradicts is refused whole and raised", async () => {
  const wrong = receipts(0, 4);
  wrong.paths[2] = receipts(3, 4).paths[0] ?? [];
  expect(await witness(agent.checkpoint(), wrong)).toMatchObject({ status: 409, body: { code: "conflict" } });
  expect(await shown()).toMatchObject({ witnessed: { receipts: 0, cosigned: null }, alarms: ["receipt-contradicts"] });
});

test("receipts that leave entries out are raised as missing", async () => {
  expect((await witness(agent.checkpoint(), receipts(6, 9))).body["receipts"]).toBe(9);
  expect((await shown()).alarms).toEqual(["receipt-missing"]);
});

test("a head of entries that were not handed in waits; one that goes back is refused and raised", async () => {
  const before = agent.checkpoint(6);
  expect((await witness(agent.checkpoint())).status).toBe(200);
  agent.append({ kind: "stopped", why: "not handed in" });
  expect(await witness(agent.checkpoint())).toMatchObject({ status: 503, body: { code: "unavailable" } });
  expect(await witness(before)).toMatchObject({ status: 409, body: { code: "conflict" } });
  expect((await shown()).alarms).toEqual(["log-shorter"]);
});

test("a head of another history, or by another key, is not cosigned", async () => {
  const good = agent.checkpoint();
  agent.lines[4] = (agent.lines[4] ?? "").replace("life", "lies");
  expect(await witness(good.replace("\n9\n", "\n8\n"))).toMatchObject({ status: 400, body: { code: "malformed" } });
  expect(await witness(agent.checkpoint())).toMatchObject({ status: 403, body: { code: "fenced" } });
  expect(await shown()).toMatchObject({ witnessed: { cosigned: null }, alarms: ["copy", "log-forked"] });
});

test("what another witness has seen is raised, as the agent's word, before it stops", async () => {
  await witness(agent.checkpoint(), null, [{ witness: "customer-1", code: "rolled-back" }]);
  const { alarms, text } = await shown();
  expect(alarms).toEqual(["witness-refused"]);
  expect(text).toContain("customer-1 has seen more entries of this log than its agent has, as the agent says");
});
