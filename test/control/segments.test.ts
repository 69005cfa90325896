import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import type { KeyObject } from "node:crypto";
import { ed25519Private } from "../../agent/audit/note.ts";
import { type Agent, enrolled, startWorld, type World } from "./client.ts";

let world: World;
let agent: Agent;
beforeAll(async () => {
  world = await startWorld();
});
beforeEach(async () => {
  agent = await enrolled(world);
});
afterAll(async () => {
  await world?.end();
});

test("a segment's key is taken when the key before handed over to it, and signs from there on, also after a restart", async () => {
  agent.append({ kind: "stopped", why: "a" });
  expect((await agent.report(0)).body).toEqual({ next: 2 });
  const older = agent.rotate();
  expect((await agent.report(2)).body).toEqual({ next: 3 });
  agent.append({ kind: "stopped", why: "b" });
  expect((await agent.report(3)).body).toEqual({ next: 4 });
  await world.restart();
  agent.append({ kind: "stopped", why: "c" });
  expect((await agent.report(4)).body).toEqual({ next: 5 });
  expect((await agent.poll()).status).toBe(200);
  // Signed as it should be, and shorter than what was shown: a copy's.
  expect((await agent.poll({ checkpoint: agent.checkpoint(2, older) })).body["code"]).toBe("fenced");
});

test("who signs a head by another key than that of its entries, or goes on from other entries, has a copy's disk: both are fenced", async () => {
  const otherwise = [
    // The older key signs nothing beyond where it handed over, the newer nothing before.
    async (older: KeyObject) => agent.poll({ checkpoint: agent.checkpoint(3, older) }),
    async () => agent.poll({ checkpoint: agent.checkpoint(2) }),
    async () => agent.poll({ checkpoint: agent.checkpoint(3, ed25519Private(new Uint8Array(32))) }),
    async () => {
      agent.rotate({ peaks: ["A".repeat(43).concat("=")] });
      return agent.report(3);
    },
  ];
  for (const [at, say] of otherwise.entries()) {
    agent = await enrolled(world);
    agent.append({ kind: "stopped", why: "a" });
    expect((await agent.report(0)).body).toEqual({ next: 2 });
    const older = agent.rotate();
    expect((await agent.report(2)).body).toEqual({ next: 3 });
    expect((await agent.poll()).status).toBe(200);
    expect({ at, code: (await say(older)).body["code"] }).toEqual({ at, code: "fenced" });
    expect({ at, code: (await agent.poll()).body["code"] }).toEqual({ at, code: "fenced" });
  }
});

test("a head by a key that is not known yet waits for the line that names it, and is judged then", async () => {
  agent.append({ kind: "stopped", why: "a" });
  expect((await agent.report(0, 1)).body).toEqual({ next: 1 });
  agent.rotate();
  agent.append({ kind: "stopped", why: "b" });
  // The head covers all four, the entries that come are those before the segment.
  expect((await agent.report(1, 2)).body).toEqual({ next: 2 });
  expect((await agent.poll()).status).toBe(200);
  expect((await agent.report(2)).body).toEqual({ next: 4 });
  // A head ahead of the entries that nobody's key signed is found out when they come.
  agent.append({ kind: "stopped", why: "c" });
  const stranger = agent.rotate();
  expect(stranger).toBeDefined();
  const nobody = agent.checkpoint(6, ed25519Private(new Uint8Array(32)));
  expect((await agent.poll({ checkpoint: nobody })).status).toBe(200);
  expect((await agent.report(4)).body["code"]).toBe("fenced");
});

test("a segment whose line is not what came before is refused: another key, certificate or handing over", async () => {
  agent.append({ kind: "stopped", why: "a" });
  expect((await agent.report(0)).body).toEqual({ next: 2 });
  const other = await enrolledElsewhere();
  for (const change of [
    { handed: Buffer.alloc(64).toString("base64") },
    { before: { key: "A".repeat(43).concat("="), from: 0 } },
    { signature: Buffer.alloc(64).toString("base64url") },
    { chain: other },
    { origin: "spiffe://vendor.example/cluster/other/agent/epoch/1" },
  ]) {
    const kept = [...agent.lines];
    const before = agent.rotate(change);
    expect({ change, code: (await agent.report(2)).body["code"] }).toEqual({ change, code: "malformed" });
    agent.lines.splice(0, agent.lines.length, ...kept);
    agent.restore(before);
  }
  agent.rotate();
  expect((await agent.report(2)).body).toEqual({ next: 3 });
});

/** A chain that this control plane did not issue. */
async function enrolledElsewhere(): Promise<string[]> {
  const elsewhere = await startWorld();
  try {
    return [...(await enrolled(elsewhere)).chain];
  } finally {
    await elsewhere.end();
  }
}
