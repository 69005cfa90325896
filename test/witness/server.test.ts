import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { consistencyProof } from "../../agent/audit/consistency.ts";
import { cosignedAt, parseCosigner } from "../../agent/audit/cosignature.ts";
import { verifierKey } from "../../agent/audit/note.ts";
import { emptyTree, grow, leafHash } from "../../agent/audit/tree.ts";
import { realHost } from "../../agent/host/real.ts";
import { authority, started, type World, world } from "../audit/world.ts";
import { CONTROL, type Ran, ran } from "../e2e/world.ts";
import { beside, counterpart } from "./counterpart.ts";
import { addLogBody, copied, filled, headsIn, linesIn, type Witness, witness } from "./world.ts";

/** `reeve-control witness`, the executable, driven by transparency-dev's client. */
const ENTRIES = 40;
const all: Witness[] = [];

beforeAll(() => {
  counterpart();
}, 580_000);
afterAll(async () => {
  for (const one of all) await one.end();
});

const logKey = (w: World): string => verifierKey(w.as.origin, Buffer.from(w.firstKey, "base64"));

async function running(entries = ENTRIES): Promise<{ w: World; to: Witness }> {
  const w = await world();
  filled(w, entries);
  const to = witness(w.caPem);
  all.push(to);
  await to.start();
  return { w, to };
}

async function enrolled(entries = ENTRIES): Promise<{ w: World; to: Witness }> {
  const both = await running(entries);
  const answer = await both.to.post("/add-log", addLogBody(both.w.folder, 5));
  expect(answer).toMatchObject({ status: 200, text: "" });
  return both;
}

/** One head by the Go client; what it makes of the answer. */
async function sent(to: Witness, w: World, ...numbers: number[]): Promise<string> {
  const done = await beside(counterpart(), ["send", to.ready.url, logKey(w), w.folder, ...numbers.map(String)]);
  expect(done.stderr).toBe("");
  return done.stdout.trim();
}

/** A request's body, made by our own proofs. */
function submission(w: World, old: number, size: number): string {
  const leaves = linesIn(w.folder).map(leafHash);
  const tree = emptyTree();
  for (const leaf of leaves.slice(0, old)) grow(tree, leaf);
  const proof = old === 0 ? [] : consistencyProof(tree, size, leaves.slice(old));
  return `old ${old}\n${proof.map((hash) => `${hash.toString("base64")}\n`).join("")}\n${headsIn(w.folder).get(size)}`;
}

test("an independent client has a log's heads cosigned, and two independent verifiers take the cosignatures", async () => {
  const { w, to } = await enrolled();
  const sizes = [1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 40].map(String);
  const done = await beside(counterpart(), ["feed", to.ready.url, logKey(w), to.ready.key, w.folder, ...sizes]);
  expect(done).toMatchObject({ code: 0, stderr: "" });
  expect(done.stdout).toBe(sizes.map((size) => `cosigned ${size}\n`).join(""));
  expect(to.show()).toMatchObject({ code: 0, told: { logs: [{ origin: w.as.origin, size: 40 }], refused: [] } });
});

test("each wrong request has the answer that the protocol says, and changes nothing", async () => {
  const { w, to } = await enrolled();
  expect(await sent(to, w, 0, 20)).toBe("cosigned");
  expect(await sent(to, w, 0, 30)).toBe("stale 20");
  expect(await sent(to, w, 10, 30)).toBe("stale 20");
  expect(await sent(to, w, 31, 30)).toBe("old size invalid");
  expect(await sent(to, w, 20, 30, 10)).toBe("invalid proof");
  const raw = await to.post("/add-checkpoint", submission(w, 10, 30));
  expect(raw).toEqual({ status: 409, text: "20\n", type: "text/x.tlog.size" });
  for (const body of ["", "old 20\n", "old 020\n\n", "old 20\nxx\n\n", submission(w, 20, 30).replace("\n\n", "\n")])
    expect([body, (await to.post("/add-checkpoint", body)).status]).toEqual([body, 400]);
  const other = await world();
  filled(other, 3);
  expect((await to.post("/add-checkpoint", submission(w, 20, 30).replace(/^— .*$/mu, foreign(other)))).status).toBe(
    403,
  );
  expect(to.show().told.logs[0]?.size).toBe(20);
  expect(await sent(to, w, 20, 20)).toBe("cosigned");
  expect(await sent(to, w, 20, 30)).toBe("cosigned");
});

/** A signature line under the same name, by a head of another tree. */
function foreign(other: World): string {
  return (headsIn(other.folder).get(2) ?? "").split("\n").at(-2) ?? "";
}

test("a log that no one has shown is unknown; one under another CA is not taken", async () => {
  const { w, to } = await running();
  expect(await sent(to, w, 0, 5)).toBe("unknown log");
  const other = await world();
  filled(other, 6);
  expect((await to.post("/add-log", addLogBody(other.folder, 5))).status).toBe(403);
  type Body = { namings: { entry: string; proof: string[] }[]; checkpoint: string };
  const body = JSON.parse(addLogBody(w.folder, 9)) as Body;
  const [naming = { entry: "", proof: [] }] = body.namings;
  const wrong = [
    { ...body, namings: [] },
    { ...body, namings: [naming, naming] },
    { ...body, namings: [{ ...naming, proof: naming.proof.slice(1) }] },
    { ...body, namings: [{ ...naming, entry: linesIn(w.folder)[1] }] },
    { ...body, namings: [{ ...naming, entry: naming.entry.replace("prod-eu-1", "prod-eu-2") }] },
    { ...body, checkpoint: headsIn(w.folder).get(8) },
    { ...body, checkpoint: headsIn(other.folder).get(5) },
    { ...body, more: 1 },
  ];
  for (const one of wrong) expect([400, 403]).toContain((await to.post("/add-log", JSON.stringify(one))).status);
  expect(to.show().told.logs).toEqual([]);
  expect((await to.post("/add-log", JSON.stringify(body))).status).toBe(200);
  expect((await to.post("/add-log", JSON.stringify(body))).status).toBe(200);
});

test("killed and started again it goes on where it was", async () => {
  const { w, to } = await enrolled();
  expect(await sent(to, w, 0, 12)).toBe("cosigned");
  const before = to.ready;
  await to.stop("SIGKILL");
  await to.start();
  expect(to.ready).toEqual(before);
  expect(await sent(to, w, 0, 13)).toBe("stale 12");
  expect(await sent(to, w, 12, 13)).toBe("cosigned");
});

test("of many requests at once from the same size one is taken, and no leaf is taken back", async () => {
  const { w, to } = await enrolled();
  expect(await sent(to, w, 0, 10)).toBe("cosigned");
  const sizes = Array.from({ length: 25 }, (_, at) => 11 + at);
  const answers = await Promise.all(sizes.map((size) => to.post("/add-checkpoint", submission(w, 10, size))));
  const taken = sizes.filter((_, at) => answers[at]?.status === 200);
  expect(taken).toHaveLength(1);
  expect(answers.map(({ status }) => status).filter((status) => status === 409)).toHaveLength(24);
  expect(to.show().told).toMatchObject({ logs: [{ size: taken[0] }], refused: [] });
});

test("an older copy that goes on is a roll-back: refused, and kept as evidence", async () => {
  const { w, to } = await enrolled(12);
  const copy = copied(w, "copy");
  filled(w, 30);
  expect(await sent(to, w, 0, 30)).toBe("cosigned");
  filled(copy, 15);
  expect(await sent(to, copy, 0, 15)).toBe("stale 30");
  const shown = to.show();
  expect(shown.code).toBe(1);
  expect(shown.told.refused).toMatchObject([{ kind: "rolled-back", note: headsIn(copy.folder).get(15) }]);
});

test("two copies that diverge are a fork: refused from the size that is known, and kept as evidence", async () => {
  const { w, to } = await enrolled(12);
  const copy = copied(w, "fork");
  filled(w, 20);
  appendDifferent(copy, 8);
  expect(await sent(to, w, 0, 20)).toBe("cosigned");
  expect(await sent(to, copy, 20, 20)).toBe("invalid proof");
  filled(copy, 25);
  expect(await sent(to, copy, 20, 25)).toBe("invalid proof");
  expect(to.show().told.refused.map(({ kind }) => kind)).toEqual(["forked", "forked"]);
  expect(await sent(to, w, 20, 20)).toBe("cosigned");
});

function appendDifferent(w: World, entries: number): void {
  const log = w.open();
  for (let n = 0; n < entries; n++) log.append([{ kind: "stopped", why: "another life" }]);
  log.close();
}

test("a later epoch takes the log's place for good: nothing of the older one after it, and no other first entry", async () => {
  const { w, to } = await enrolled(12);
  expect(await sent(to, w, 0, 12)).toBe("cosigned");
  const later = await world({ epoch: 2 }, {}, w.ca);
  filled(later, 6);
  expect((await to.post("/add-log", addLogBody(later.folder, 6))).status).toBe(200);
  expect(await sent(to, w, 12, 12)).toBe("no valid signature");
  expect(await sent(to, later, 0, 6)).toBe("cosigned");
  const twin = await world({ epoch: 2 }, {}, w.ca);
  filled(twin, 4);
  expect((await to.post("/add-log", addLogBody(twin.folder, 4))).status).toBe(409);
  const { logs, refused } = to.show().told;
  expect(logs.map(({ ended_by }) => ended_by)).toEqual([later.as.origin, null]);
  expect(refused.map(({ kind }) => kind)).toEqual(["older-epoch", "second-key"]);
});

test("an expired certificate's key, or an epoch far ahead, takes no log's place; what did is forgotten by hand", async () => {
  const DAY = 24 * 3600 * 1000;
  const ca = await authority("vendor.example root", new Date(Date.now() - 20 * DAY));
  const w = await world({}, {}, ca);
  filled(w, 12);
  const to = witness(w.caPem);
  all.push(to);
  await to.start();
  expect((await to.post("/add-log", addLogBody(w.folder, 5))).status).toBe(200);
  expect(await sent(to, w, 0, 12)).toBe("cosigned");
  // What a thief of an old machine's key writes: a line of the time at which its certificate was valid.
  const validThen = { notBefore: new Date(Date.now() - 10 * DAY), notAfter: new Date(Date.now() - 5 * DAY) };
  const expired = await world({ epoch: 2 }, validThen, ca);
  const host = realHost();
  const log = expired.open({ ...host, clock: { ...host.clock, now: () => Date.now() - 7 * DAY } });
  while (log.size < 6) log.append([started]);
  log.close();
  const old = await to.post("/add-log", addLogBody(expired.folder, 6));
  expect(old).toMatchObject({ status: 403, text: expect.stringContaining("is not valid any more") });
  const far = await world({ epoch: 18 }, {}, ca);
  filled(far, 6);
  const ahead = await to.post("/add-log", addLogBody(far.folder, 6));
  expect(ahead).toMatchObject({ status: 403, text: expect.stringContaining("too far beyond") });
  expect(await sent(to, w, 12, 12)).toBe("cosigned");
  // A log that nothing is known beside is taken as late as it comes.
  const alone = witness(w.caPem);
  all.push(alone);
  await alone.start();
  expect((await alone.post("/add-log", addLogBody(expired.folder, 6))).status).toBe(200);

  const next = await world({ epoch: 17 }, {}, ca);
  filled(next, 6);
  expect((await to.post("/add-log", addLogBody(next.folder, 6))).status).toBe(200);
  expect(await sent(to, w, 12, 12)).toBe("no valid signature");
  const forget = (): Ran => ran(CONTROL, "witness", "forget", next.as.origin, "--dir", to.dir);
  expect(forget()).toMatchObject({ code: 0 });
  expect(forget()).toMatchObject({ code: 3, stderr: expect.stringContaining("this witness does not know it") });
  expect(await sent(to, w, 12, 12)).toBe("cosigned");
  expect(to.show().told).toMatchObject({
    logs: [{ origin: w.as.origin, size: 12, ended_by: null }],
    refused: [{ kind: "older-epoch" }],
  });
});

test("what it has cosigned can be read by anyone, and is what its key signed", async () => {
  const { w, to } = await enrolled();
  expect(await sent(to, w, 0, 40)).toBe("cosigned");
  const hash = new Bun.CryptoHasher("sha256").update(w.as.origin).digest("hex");
  const note = await (await fetch(`${to.ready.url}/${hash}/checkpoint`)).text();
  const key = parseCosigner(to.ready.key);
  if (key === null) throw new Error("the printed key is none");
  expect(cosignedAt(note, key)).toBeGreaterThan(Date.now() / 1000 - 3600);
  const done = await beside(counterpart(), ["check", logKey(w), to.ready.key], note);
  expect(done).toMatchObject({ code: 0, stdout: `${w.as.origin}\n${to.ready.name}\n` });
  expect((await fetch(`${to.ready.url}/${"0".repeat(64)}/checkpoint`)).status).toBe(404);
});

test("plain HTTP is for loopback; elsewhere it shows a certificate, of its own when it is given none", async () => {
  const { w, to } = await running(3);
  const refused = ran(
    CONTROL,
    "witness",
    "serve",
    "--dir",
    to.dir,
    "--ca",
    join(to.dir, "../vendor.pem"),
    "--listen",
    "0.0.0.0:0",
    "--plain",
  );
  expect(refused).toMatchObject({ code: 2 });
  expect(refused.stderr).toContain("--plain is for loopback");
  const secure = witness(w.caPem);
  all.push(secure);
  await secure.start("--name", "witness.example/one");
  expect(secure.ready).toMatchObject({ name: "witness.example/one" });
});
