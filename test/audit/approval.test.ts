import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Entry, EntryBody } from "../../agent/audit/entry.ts";
import { emptyMemory, fold, type Memory, memoryOf, memoryState } from "../../agent/audit/memory.ts";
import { timeText } from "../../agent/audit/time.ts";
import { verifyLog } from "../../agent/audit/verify.ts";
import { realDisk } from "../../agent/host/real.ts";
import { approvalMessage } from "../../agent/wire/approval.ts";
import { canonical } from "../../agent/wire/canonical.ts";
import { type Person, person, signature } from "../owner/people.ts";
import { DIGEST, intent, outcome, refused, soon, started, world } from "./world.ts";

const [ONE, TWO] = [Bun.randomUUIDv7(), Bun.randomUUIDv7()];
const folder = mkdtempSync(join(tmpdir(), "reeve-approvals-"));
const [alice, bob] = [person(folder, "alice"), person(folder, "bob")];

function waiting(command: string): EntryBody {
  const { kind, csr, ...held } = intent(command) as Extract<EntryBody, { kind: "intent" }>;
  const approval = { by: ["alice", "bob"], need: 2, within: 3600 };
  return { ...held, kind: "waiting", approval, sentence: "x", until: soon() };
}
function approval(
  who: Person,
  approves: string,
  message: Uint8Array,
  code: "approval.person" | null = null,
): EntryBody {
  const block = signature(who, Buffer.from(message).toString()).trim();
  const text = block.split("\n").slice(1, -1).join("");
  const digest = `sha256:${new Bun.CryptoHasher("sha256").update(text).digest("hex")}`;
  return { kind: "approval", approves, code, digest, key: who.publicKey, person: who.name, signature: text };
}
const messageOf = (id: string, digest = DIGEST) => approvalMessage("prod-eu-1", { kind: "command", id, digest });
const approved = (command: string, ...people: readonly [string, number][]): EntryBody => ({
  ...(intent(command) as Extract<EntryBody, { kind: "intent" }>),
  approved: people.map(([name, entry]) => ({ entry, person: name })),
});
function folded(...bodies: readonly EntryBody[]): Memory {
  const memory = emptyMemory(null);
  for (const [index, body] of bodies.entries())
    fold(memory, {
      ...body,
      v: 1,
      index,
      cluster: "prod-eu-1",
      epoch: 1,
      time: timeText(1_790_000_000_000 + index),
    } as Entry);
  return memory;
}

test("what waits is remembered until its intent or its refusal; a replay ends no wait", () => {
  const held = [waiting(ONE), approval(alice, ONE, messageOf(ONE))];
  expect([
    ...(folded(...held)
      .waiting.get(ONE)
      ?.signatures.values() ?? []),
  ]).toEqual([{ entry: 1, person: "alice", key: alice.publicKey }]);
  expect(folded(...held).ids.get(ONE)).toMatchObject({ index: 0, kind: "waiting" });
  const replay = { ...refused(ONE), code: "verify.replayed", first: 0 } as EntryBody;
  expect(folded(...held, replay).waiting.has(ONE)).toBe(true);
  expect(folded(...held, replay).ids.get(ONE)).toMatchObject({ index: 0, kind: "waiting" });
  const ended = folded(...held, refused(ONE));
  expect([ended.waiting.size, ended.ids.get(ONE)?.kind]).toEqual([0, "refused"]);
  const begun = folded(...held, approved(ONE, ["alice", 1]));
  expect([begun.waiting.size, begun.ids.get(ONE)?.kind, begun.open.has(ONE)]).toEqual([0, "intent", true]);
  // An approval of what does not wait is nothing.
  expect(folded(approval(alice, TWO, messageOf(TWO))).waiting.size).toBe(0);
});

test("a statement that waits is remembered until it, or a later one, is in force", () => {
  const statement: EntryBody = { kind: "trust-waiting", version: 3, digest: DIGEST, statement: "x", changes: [] };
  const inForce = (version: number): EntryBody => ({ kind: "trust", version, digest: DIGEST, keys: ["k"] });
  expect(folded(statement, inForce(2)).trust?.version).toBe(3);
  expect(folded(statement, inForce(3)).trust).toBeNull();
});

test("the ten newest commands are remembered, each once, with what became of it", () => {
  const ids = Array.from({ length: 12 }, () => Bun.randomUUIDv7());
  const memory = folded(...ids.flatMap((id, at) => [intent(id), outcome(id, 2 * at)]), waiting(ONE));
  expect(memory.recent.length).toBe(10);
  expect(memory.recent.map(({ is }) => is)).toEqual([
    ...Array.from({ length: 9 }, () => "succeeded" as const),
    "waiting",
  ]);
  expect(memory.recent.at(-1)).toMatchObject({ command: ONE, entry: 24, rule: "brokers-grow" });
});

test("what waits comes out of a segment's carry as it went in, and the log goes on from there", async () => {
  const memory = folded(waiting(ONE), approval(alice, ONE, messageOf(ONE)), waiting(TWO), started);
  expect(memoryOf(JSON.parse(canonical(memoryState(memory))), null)).toEqual(memory);
  const w = await world({ segmentBytes: 4096 });
  const log = w.open();
  log.append([waiting(ONE)]);
  for (let n = 0; n < 60; n++) log.append([started]);
  expect(log.memory.waiting.has(ONE)).toBe(true);
  log.close();
  expect(readdirSync(w.folder).filter((name) => name.endsWith(".carry.json")).length).toBeGreaterThan(1);
  expect(w.open().memory.waiting.get(ONE)?.entry.command).toBe(ONE);
});

async function verdict(...bodies: readonly EntryBody[]) {
  const w = await world();
  const log = w.open();
  for (const body of bodies) log.append([body]);
  log.close();
  return verifyLog(realDisk, w.folder, { ca: w.caPem });
}

test("verify holds an intent to the approvals that it names, and each of these to its signature", async () => {
  const yes = [approval(alice, ONE, messageOf(ONE)), approval(bob, ONE, messageOf(ONE))];
  const end = outcome(ONE, 4);
  const good = await verdict(waiting(ONE), ...yes, approved(ONE, ["alice", 2], ["bob", 3]), end);
  expect(good).toMatchObject({ exit: 11, damage: null });
  const [ofAlice, ofBob] = yes as [EntryBody, EntryBody];
  const ofCarol = approval(person(folder, "carol"), ONE, messageOf(ONE));
  const cases: [string, readonly EntryBody[]][] = [
    [
      "a signature over another digest",
      [waiting(ONE), approval(alice, ONE, messageOf(ONE, `sha256:${"cd".repeat(32)}`))],
    ],
    ["a signature for another command", [waiting(ONE), approval(alice, ONE, messageOf(TWO))]],
    ["another's key", [waiting(ONE), { ...ofAlice, key: bob.publicKey } as EntryBody]],
    ["no signature", [waiting(ONE), { ...ofAlice, signature: null } as EntryBody]],
    ["one person twice", [waiting(ONE), ofAlice, ofBob, approved(ONE, ["alice", 2], ["alice", 2])]],
    ["an approval that is another entry", [waiting(ONE), ofAlice, approved(ONE, ["alice", 1])]],
    ["another person's approval", [waiting(ONE), ofAlice, approved(ONE, ["bob", 2])]],
    [
      "an approval that does not count",
      [waiting(ONE), approval(alice, ONE, messageOf(ONE), "approval.person"), approved(ONE, ["alice", 2])],
    ],
    [
      "somebody whom the rule does not ask",
      [waiting(ONE), ofAlice, ofCarol, approved(ONE, ["alice", 2], ["carol", 3])],
    ],
    [
      "one key under two names",
      [
        waiting(ONE),
        ofAlice,
        { ...ofAlice, person: "bob", digest: DIGEST } as EntryBody,
        approved(ONE, ["alice", 2], ["bob", 3]),
      ],
    ],
    ["an approval of what does not wait", [started, ofAlice]],
    [
      "an end of a fencing that nobody approved",
      [
        { kind: "fenced", digest: DIGEST, says: "x" },
        { kind: "unfenced", digest: DIGEST, person: "alice" },
      ],
    ],
    ["fewer than the rule needs", [waiting(ONE), ofAlice, approved(ONE, ["alice", 2])]],
    ["none", [waiting(ONE), approved(ONE)]],
    ["approvals of what never waited", [approved(ONE, ["alice", 1])]],
  ];
  for (const [what, bodies] of cases)
    expect([what, (await verdict(...bodies)).damage?.what ?? null]).toEqual([what, "approval"]);
  const begun = [waiting(ONE), ofAlice, ofBob, approved(ONE, ["alice", 2], ["bob", 3])];
  expect((await verdict(...begun, approved(ONE))).damage?.what).toBe("id");
  const otherRule = { ...approved(ONE), allowed: { policy: DIGEST, rule: "another" } } as EntryBody;
  expect((await verdict(waiting(ONE), otherRule)).damage).toBeNull();
  expect((await verdict(waiting(ONE), waiting(ONE))).damage?.what).toBe("id");
}, 60_000);
