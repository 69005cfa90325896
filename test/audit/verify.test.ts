import { expect, test } from "bun:test";
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { verifyLog } from "../../agent/audit/verify.ts";
import { realDisk, realHost } from "../../agent/host/real.ts";
import { AGENT, fill, intent, outcome, scratch, started, world } from "./world.ts";

const SEGMENT = "00000000000000000000.jsonl";

async function small() {
  const w = await world();
  fill(w.open());
  return w;
}

/** A copy of the folder with one file changed. */
function changed(folder: string, file: string, change: (bytes: Buffer) => Buffer): string {
  const copy = join(scratch(), "audit");
  cpSync(folder, copy, { recursive: true });
  writeFileSync(join(copy, file), change(readFileSync(join(folder, file))));
  return copy;
}

test("a whole log that nobody witnessed is whole, but its newest could have been cut: 11", async () => {
  const w = await small();
  const verdict = await verifyLog(realDisk, w.folder, { ca: w.caPem });
  expect(verdict).toMatchObject({
    exit: 11,
    size: 8,
    from: 0,
    damage: null,
    missing: [],
    open: [],
    witnesses: [],
    origin: `${AGENT}/epoch/1`,
  });
  expect(verdict.vouched?.by).toBe("CN=vendor.example root");
  expect(verdict.checkpoints).toMatchObject({ checked: 7, newest: { size: 8 } });
});

test("a key that only lies beside the log proves nothing: without a CA, or with another, verify could not look: 14", async () => {
  const w = await small();
  const other = await world();
  expect(await verifyLog(realDisk, w.folder, { ca: null })).toMatchObject({ exit: 14, vouched: null });
  expect(await verifyLog(realDisk, w.folder, { ca: other.caPem })).toMatchObject({ exit: 14, vouched: null });
  expect(await verifyLog(realDisk, w.folder, { ca: "no PEM" })).toMatchObject({ exit: 14, vouched: null });
  expect(await verifyLog(realDisk, join(w.folder, "nowhere"), { ca: w.caPem })).toMatchObject({ exit: 14 });
});

test("a certificate of another agent, or one that was not valid when the log began, vouches for nothing", async () => {
  for (const wish of [
    { name: "spiffe://vendor.example/cluster/other/agent" },
    { notAfter: new Date(Date.now() - 1000) },
    { notBefore: new Date(Date.now() + 3600_000) },
  ]) {
    const w = await world({}, wish);
    fill(w.open());
    expect(await verifyLog(realDisk, w.folder, { ca: w.caPem })).toMatchObject({ exit: 14, vouched: null });
  }
});

test("a log key that the agent's certificate did not sign is vouched for by nobody", async () => {
  const w = await world();
  const other = await world();
  const first = { ...w.as.first(), signature: (other.as.first() as { signature: string }).signature };
  fill(w.open(realHost(), { first: () => first as ReturnType<typeof w.as.first> }));
  const verdict = await verifyLog(realDisk, w.folder, { ca: w.caPem });
  expect(verdict).toMatchObject({ exit: 14, vouched: null, unvouched: expect.stringContaining("did not sign") });
});

test("whichever byte of the log is changed, verify says damaged and names its entry or the one that shows it", async () => {
  const w = await small();
  const bytes = readFileSync(join(w.folder, SEGMENT));
  const copy = changed(w.folder, SEGMENT, (same) => same);
  let line = 0;
  for (const [at, byte] of bytes.entries()) {
    const flipped = Buffer.from(bytes);
    flipped[at] = byte ^ (1 << (at % 8));
    writeFileSync(join(copy, SEGMENT), flipped);
    const verdict = await verifyLog(realDisk, copy, { ca: null });
    expect({ at, exit: verdict.exit }).toEqual({ at, exit: 13 });
    expect(verdict.damage?.index).toBeGreaterThanOrEqual(Math.max(0, line - 1));
    expect(verdict.damage?.index).toBeLessThanOrEqual(line + 2);
    if (byte === 10) line += 1;
  }
  expect(line).toBe(8);
}, 60_000);

test("a line removed, doubled, exchanged or cut off is damage, and the file is named", async () => {
  const w = await small();
  const lines = readFileSync(join(w.folder, SEGMENT), "utf8").trimEnd().split("\n");
  const join_ = (some: readonly string[]) => Buffer.from(some.map((one) => `${one}\n`).join(""));
  let looked = 0;
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    for (const variant of [
      lines.toSpliced(at, 1),
      lines.toSpliced(at, 0, line),
      lines.toSpliced(at, 2, lines[at + 1] ?? "{}", line),
      lines.slice(0, at),
    ]) {
      const copy = changed(w.folder, SEGMENT, () => join_(variant));
      const verdict = await verifyLog(realDisk, copy, { ca: w.caPem });
      expect(verdict.exit).toBe(13);
      expect([SEGMENT, "checkpoints"]).toContain(verdict.damage?.file ?? "");
      looked += 1;
    }
  }
  expect(looked).toBe(32);
});

test("whichever byte of a whole checkpoint is changed, verify says damaged; the last newline alone is a cut-off write", async () => {
  const w = await small();
  const bytes = readFileSync(join(w.folder, "checkpoints"));
  for (let at = 0; at < bytes.length - 2; at++) {
    const copy = changed(w.folder, "checkpoints", (same) => Buffer.from(same.with(at, (same[at] ?? 0) ^ 1)));
    expect({ at, exit: (await verifyLog(realDisk, copy, { ca: null })).exit }).toEqual({ at, exit: 13 });
    rmSync(copy, { recursive: true });
  }
  const cut = changed(w.folder, "checkpoints", (same) => same.subarray(0, -40));
  expect(await verifyLog(realDisk, cut, { ca: w.caPem })).toMatchObject({
    exit: 11,
    remarks: [expect.stringContaining("cut off"), expect.stringContaining("1 entries are newer than the newest head")],
  });
}, 60_000);

test("a rewritten log is damaged even when every line of it is of the schema: only the log's key can sign its head", async () => {
  const w = await small();
  const copy = changed(w.folder, SEGMENT, (bytes) => Buffer.from(bytes.toString().replace("told to", "told ot")));
  expect((await verifyLog(realDisk, copy, { ca: w.caPem })).damage).toMatchObject({
    kind: "edited",
    what: "root",
    index: 7,
    file: SEGMENT,
    line: 8,
  });
});

test("with segments moved away the log is incomplete, says which entries, and what is left is checked: 12", async () => {
  const w = await world({ segmentBytes: 3000 });
  const log = w.open();
  for (let n = 0; n < 20; n++) log.append([started]);
  log.close();
  const { size } = log;
  expect(size).toBeGreaterThan(21);
  expect(await verifyLog(realDisk, w.folder, { ca: w.caPem })).toMatchObject({ exit: 11, size });
  const [, second] = realDisk.list(w.folder).filter((name) => name.endsWith(".jsonl"));
  renameSync(join(w.folder, SEGMENT), join(scratch(), SEGMENT));
  const verdict = await verifyLog(realDisk, w.folder, { ca: w.caPem });
  const from = Number(second?.slice(0, 20));
  expect(from).toBeGreaterThan(0);
  expect(verdict).toMatchObject({ exit: 12, missing: [{ from: 0, to: from }], from, size });
  expect(verdict.checkpoints.checked).toBeGreaterThan(0);
  const copy = changed(w.folder, second ?? "", (bytes) => Buffer.from(bytes.toString().replace("0.1.0", "0.1.1")));
  expect((await verifyLog(realDisk, copy, { ca: w.caPem })).exit).toBe(13);
});

test("a segment gone from the middle is incomplete too, with or without its carry file", async () => {
  const w = await world({ segmentBytes: 3000 });
  const log = w.open();
  for (let n = 0; n < 40; n++) log.append([started]);
  log.close();
  const [, middle, after] = realDisk.list(w.folder).filter((name) => name.endsWith(".jsonl"));
  rmSync(join(w.folder, middle ?? ""));
  expect((await verifyLog(realDisk, w.folder, { ca: w.caPem })).exit).toBe(12);
  rmSync(join(w.folder, (after ?? "").replace("jsonl", "carry.json")));
  expect((await verifyLog(realDisk, w.folder, { ca: w.caPem })).exit).toBe(12);
});

test("a carry file that says something else than the entries before it is damage", async () => {
  const w = await world({ segmentBytes: 3000 });
  const log = w.open();
  for (let n = 0; n < 20; n++) log.append([started]);
  log.close();
  const name = realDisk.list(w.folder).find((one) => one.endsWith(".carry.json")) ?? "";
  const { hash } = await import("node:crypto");
  const { canonical } = await import("../../agent/wire/canonical.ts");
  const copy = changed(w.folder, name, (bytes) => {
    const { content } = JSON.parse(bytes.toString());
    content.memory.revision = 99;
    return Buffer.from(canonical({ content, sha256: hash("sha256", canonical(content), "hex") }));
  });
  expect((await verifyLog(realDisk, copy, { ca: w.caPem })).damage).toMatchObject({ what: "carry" });
});

test("an intent without an outcome is shown as open; a second outcome, or an id that enters twice, is damage", async () => {
  const w = await world();
  const log = w.open();
  const [one, two] = [Bun.randomUUIDv7(), Bun.randomUUIDv7()];
  log.append([intent(one)]);
  expect(await verifyLog(realDisk, w.folder, { ca: w.caPem })).toMatchObject({
    exit: 11,
    open: [{ command: one, intent: 1 }],
  });
  log.append([outcome(one, 1), intent(two), outcome(two, 3)]);
  expect(await verifyLog(realDisk, w.folder, { ca: w.caPem })).toMatchObject({ exit: 11, open: [] });
  log.append([outcome(two, 3)]);
  expect((await verifyLog(realDisk, w.folder, { ca: w.caPem })).damage).toMatchObject({ index: 5, what: "outcome" });
  log.close();
  const other = await world();
  const second = other.open();
  second.append([intent(one), outcome(one, 1), intent(one)]);
  second.close();
  expect((await verifyLog(realDisk, other.folder, { ca: other.caPem })).damage).toMatchObject({ index: 3, what: "id" });
});

test("verify reads beside the agent that writes, and takes no lock", async () => {
  const w = await world();
  const log = w.open(realHost());
  log.append([started]);
  expect((await verifyLog(realDisk, w.folder, { ca: w.caPem })).exit).toBe(11);
  log.append([started]);
  log.close();
});
