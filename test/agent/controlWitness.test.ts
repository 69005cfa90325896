import { expect, test } from "bun:test";
import { cosign } from "../../agent/audit/cosignature.ts";
import type { Log } from "../../agent/audit/log.ts";
import { ed25519Private, ed25519Public, parseCheckpoint, parseNote, signatureLine } from "../../agent/audit/note.ts";
import { leafHash, verifyInclusion } from "../../agent/audit/tree.ts";
import type { Answer, Post } from "../../agent/poll.ts";
import { MAX_RECEIPTS, WitnessAnswer, WitnessRequest } from "../../agent/wire/protocol.ts";
import { controlWitness } from "../../agent/witness/controlPlane.ts";
import { started, world } from "../audit/world.ts";

/** What an agent makes of a control plane's answers to `/v1/witness`; a real one is in test/witness/agent.test.ts. */
const key = ed25519Private(Buffer.alloc(32, 8));
const KEYS = new Map([["cp-1", ed25519Public(key).toString("base64url")]]);
const line = (note: string, by = key): string => cosign(parseNote(note)?.text ?? "", "cp-1", by, 1_795_000_000);

type Says = (asked: WitnessRequest) => Answer<{ cosignature: string; receipts: number }>;

async function talked(entries: number, says: Says, keys: ReadonlyMap<string, string> = KEYS) {
  const log: Log = (await world()).open();
  while (log.size < entries) log.append([started]);
  const asked: WitnessRequest[] = [];
  const kept: string[] = [];
  const post = (async (path: string, body: unknown) => {
    expect(path).toBe("/v1/witness");
    asked.push(WitnessRequest.parse(body));
    return says(asked.at(-1) as WitnessRequest);
  }) as Post;
  const stop = new AbortController().signal;
  const keep = (note: string): number => kept.push(note);
  const one = controlWitness({ log, post, stop, keys: () => keys, others: () => "", keep });
  const result = await one.attempt();
  const lines = log.lines(0, entries);
  log.close();
  return { result, asked, kept, lines, head: one.head(), newest: log.checkpoint() };
}

test("the receipts of many entries go in order, each one true, and the head is kept once", async () => {
  let wanted = 0;
  const done = await talked(2 * MAX_RECEIPTS + 50, ({ checkpoint, receipts }) => {
    wanted += receipts?.paths.length ?? 0;
    return { ok: { cosignature: line(checkpoint), receipts: wanted } };
  });
  expect(done).toMatchObject({ result: null, head: done.newest });
  expect(done.kept).toHaveLength(1);
  const head = parseCheckpoint(done.newest);
  if (head === null) throw new Error("no head");
  let next = 0;
  for (const { receipts } of done.asked)
    for (const path of receipts?.paths ?? []) {
      const hashes = path.map((hash) => Buffer.from(hash, "base64"));
      expect(verifyInclusion(leafHash(done.lines[next] ?? ""), next, head.size, hashes, head.root)).toBe(true);
      next++;
    }
  expect(next).toBe(head.size);
  expect(done.asked.map(({ receipts }) => receipts?.from)).toEqual([undefined, 0, MAX_RECEIPTS, 2 * MAX_RECEIPTS]);
});

test("only what the control plane does not have yet is handed in", async () => {
  const done = await talked(9, ({ checkpoint, receipts }) => ({
    ok: { cosignature: line(checkpoint), receipts: 7 + (receipts?.paths.length ?? 0) },
  }));
  expect(done.result).toBeNull();
  expect(done.asked.map(({ receipts }) => receipts && [receipts.from, receipts.paths.length])).toEqual([null, [7, 2]]);
});

test("a cosignature by a key that no trust statement names is not kept", async () => {
  const other = await talked(9, ({ checkpoint }) => ({
    ok: { cosignature: line(checkpoint, ed25519Private(Buffer.alloc(32, 9))), receipts: 9 },
  }));
  expect(other).toMatchObject({ result: "answer: no cosignature by a key of the trust statement", kept: [] });
  const before = await talked(
    9,
    ({ checkpoint }) => ({ ok: { cosignature: line(checkpoint), receipts: 9 } }),
    new Map(),
  );
  expect(before).toMatchObject({ result: null, kept: [] });
});

test("a control plane that asks on and on is asked sixteen times, and one that takes less than it was handed is a fault", async () => {
  let wanted = 0;
  const on = await talked(17 * MAX_RECEIPTS, ({ checkpoint, receipts }) => {
    wanted += receipts?.paths.length ?? 0;
    return { ok: { cosignature: line(checkpoint), receipts: wanted } };
  });
  expect(on).toMatchObject({ result: null, head: "" });
  expect(on.asked).toHaveLength(16);
  let taken = 0;
  const slow = await talked(2 * MAX_RECEIPTS, ({ checkpoint, receipts }) => {
    taken += receipts === null ? 0 : 1;
    return { ok: { cosignature: line(checkpoint), receipts: taken } };
  });
  expect(slow).toMatchObject({ result: "answer: it does not take receipts", head: "" });
  expect(slow.asked).toHaveLength(2);
});

test("of an answer nothing is kept but the one line by the key that was named, and an answer is one line", async () => {
  const done = await talked(9, ({ checkpoint }) => {
    const own = signatureLine(parseCheckpoint(checkpoint)?.origin ?? "", Buffer.alloc(4, 7), Buffer.alloc(64, 1));
    return { ok: { cosignature: `${own}${line(checkpoint)}`, receipts: 9 } };
  });
  expect(done.result).toBeNull();
  expect(done.kept).toEqual([`${done.newest}${line(done.newest)}`]);
  const good = line(done.newest);
  const taken = (cosignature: string): boolean => WitnessAnswer.safeParse({ cosignature, receipts: 9 }).success;
  expect(taken(good)).toBe(true);
  for (const bad of ["", good.trim(), good + good, `${good}\n`, ` ${good}`, good.replace("\n", "\r\n"), `x\n${good}`])
    expect([bad, taken(bad)]).toEqual([bad, false]);
});

test("a control plane without witnesses is left alone; one that takes nothing is asked later", async () => {
  for (const fault of ["not-available", "not-found"] as const) {
    const done = await talked(9, () => ({ fault, message: "" }));
    expect(done).toMatchObject({ result: null, head: null });
    expect(done.asked).toHaveLength(1);
  }
  expect((await talked(9, () => ({ fault: "unavailable", message: "later" }))).result).toBe("unavailable: later");
  expect((await talked(9, () => ({ unreachable: "timeout" }))).result).toBe("timeout");
  const stuck = await talked(9, ({ checkpoint }) => ({ ok: { cosignature: line(checkpoint), receipts: 3 } }));
  expect(stuck.result).toBe("answer: it does not take receipts");
  expect(stuck.asked.length).toBeLessThan(4);
});
