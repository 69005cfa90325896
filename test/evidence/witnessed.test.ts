import { expect, test } from "bun:test";
import { cpSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withLines } from "../../agent/audit/cosignature.ts";
import { checkpointRecord } from "../../agent/audit/folder.ts";
import { parseCheckpoint } from "../../agent/audit/note.ts";
import { prove } from "../../agent/audit/prove.ts";
import { verifyLog } from "../../agent/audit/verify.ts";
import { verifyProof } from "../../agent/audit/verifyProof.ts";
import { realDisk, realHost } from "../../agent/host/real.ts";
import { scratch, started, type World, world } from "../audit/world.ts";
import { CONTROL, OWNER } from "./witness.ts";

/** What witnesses' cosignatures make of a whole log, and what another copy or a kept head shows of one that is whole in itself. */
async function filled(entries = 30): Promise<{ w: World; heads: string[] }> {
  const w = await world({ segmentBytes: 4000 });
  const log = w.open();
  const heads: string[] = [];
  for (let n = 0; n < entries; n++) {
    log.append([started]);
    heads.push(log.checkpoint());
  }
  log.close();
  return { w, heads };
}

function keep(w: World, ...notes: string[]): void {
  writeFileSync(join(w.folder, "cosigned"), notes.map(checkpointRecord).join(""));
}

test("0 when a witness of the owner's has seen all of it, 10 when only the control plane's has, 11 when the newest could have been cut", async () => {
  const { w, heads } = await filled();
  const newest = heads.at(-1) ?? "";
  const older = heads.at(-4) ?? "";
  const given = { ca: w.caPem, witnesses: [OWNER, CONTROL] };
  keep(w, `${newest}${CONTROL.line(newest)}`, `${newest}${OWNER.line(newest)}`);
  const both = await verifyLog(realDisk, w.folder, given);
  expect(both).toMatchObject({ exit: 0, asked: both.size });
  expect(both.witnesses).toEqual([
    { name: OWNER.name, of: "owner", size: both.size, at: "2026-11-18T11:06:40.000Z" },
    { name: CONTROL.name, of: "control-plane", size: both.size, at: "2026-11-18T11:06:40.000Z" },
  ]);
  // A key that is not given counts for nothing, whatever lies in the folder.
  expect((await verifyLog(realDisk, w.folder, { ...given, witnesses: [CONTROL] })).exit).toBe(10);
  expect((await verifyLog(realDisk, w.folder, { ca: w.caPem })).exit).toBe(11);
  keep(w, `${newest}${CONTROL.line(newest)}`, `${older}${OWNER.line(older)}`);
  const behind = await verifyLog(realDisk, w.folder, given);
  expect(behind).toMatchObject({ exit: 10 });
  const alone = await verifyLog(realDisk, w.folder, { ...given, witnesses: [OWNER] });
  const unseen = both.size - (parseCheckpoint(older)?.size ?? 0);
  expect(alone.exit).toBe(11);
  expect(alone.says).toContain(`its newest ${unseen} entries could have been cut off`);
});

test("only what was written until the moment that is asked about needs a witness", async () => {
  const { w } = await filled(3);
  const log = w.open();
  const head = log.checkpoint();
  const { size, memory } = log;
  const until = memory.newest;
  while (Date.now() <= until) await Bun.sleep(1);
  log.append([started]);
  log.close();
  keep(w, `${head}${OWNER.line(head, Math.floor(until / 1000) - 3600)}`);
  const given = { ca: w.caPem, witnesses: [OWNER] };
  expect(await verifyLog(realDisk, w.folder, given)).toMatchObject({ exit: 11, asked: size + 1 });
  // It cosigned long before that moment: a log that was cut back to its head looks the same.
  const early = await verifyLog(realDisk, w.folder, { ...given, asOf: until });
  expect(early).toMatchObject({ exit: 11, asked: size });
  expect(early.says).toContain("nobody has witnessed it as late as the moment that was asked about");
  keep(w, `${head}${OWNER.line(head, Math.ceil(until / 1000))}`);
  expect(await verifyLog(realDisk, w.folder, { ...given, asOf: until })).toMatchObject({ exit: 0, asked: size });
});

test("a log that was cut back to its last cosigned head is not taken for all of it, whatever moment is asked about", async () => {
  const { w } = await filled(3);
  const log = w.open();
  const head = log.checkpoint();
  const { memory, size } = log;
  const path = join(w.folder, realDisk.list(w.folder).findLast((name) => name.endsWith(".jsonl")) ?? "");
  const cutTo = realDisk.stat(path).size;
  const cosigned = Math.ceil(memory.newest / 1000);
  log.append([started]);
  log.close();
  truncateSync(path, cutTo);
  writeFileSync(join(w.folder, "checkpoints"), checkpointRecord(head));
  keep(w, `${head}${OWNER.line(head, cosigned)}`);
  const given = { ca: w.caPem, witnesses: [OWNER] };
  const asked = (asOf: number) => verifyLog(realDisk, w.folder, { ...given, asOf });
  expect(await asked(cosigned * 1000)).toMatchObject({ exit: 0, size });
  expect(await asked(cosigned * 1000 + 1)).toMatchObject({ exit: 11, size });
  // Without a moment the answer is of the entries that are here.
  expect(await verifyLog(realDisk, w.folder, given)).toMatchObject({ exit: 0, size });
});

test("a cosignature that is not over this head is no cosignature, and the file is named", async () => {
  const { w, heads } = await filled(3);
  const [one = "", two = ""] = heads;
  keep(w, `${two}${OWNER.line(one)}`);
  const verdict = await verifyLog(realDisk, w.folder, { ca: w.caPem, witnesses: [OWNER] });
  expect(verdict).toMatchObject({ exit: 13, damage: { kind: "edited", file: "cosigned" } });
  expect(withLines(`${two}${OWNER.line(one)}`, (name) => name === w.as.origin)).toBe(two);
});

test("a log that is shorter than a witness has seen is not gone on with, and verify says from where it was cut", async () => {
  const { w, heads } = await filled();
  const older = join(scratch(), "audit");
  const at = heads.length - 6;
  // The folder as it was then, but for what a witness said since.
  const then = await world({ segmentBytes: 1 << 20 });
  expect(then.folder).not.toBe(w.folder);
  cpSync(w.folder, older, { recursive: true });
  const newest = heads.at(-1) ?? "";
  writeFileSync(join(older, "cosigned"), checkpointRecord(`${newest}${OWNER.line(newest)}`));
  const last =
    realDisk
      .list(older)
      .filter((name) => name.endsWith(".jsonl"))
      .at(-1) ?? "";
  const lines = Buffer.from(realDisk.read(join(older, last), 1 << 20).bytes)
    .toString("utf8")
    .split("\n");
  writeFileSync(join(older, last), `${lines[0]}\n`);
  const size = Number(last.slice(0, 20)) + 1;
  const shorter = heads.filter((note) => (parseCheckpoint(note)?.size ?? 0) <= size);
  writeFileSync(join(older, "checkpoints"), shorter.map(checkpointRecord).join(""));
  expect(at).toBeGreaterThan(0);
  expect(await verifyLog(realDisk, older, { ca: w.caPem, witnesses: [OWNER] })).toMatchObject({
    exit: 13,
    damage: { kind: "rolled-back", index: size, file: last },
  });
  const { openLog } = await import("../../agent/audit/log.ts");
  expect(() => openLog(realHost(), older, w.as)).toThrow("but its newest head covers");
});

test("an older copy is rolled back, two copies that went on apart are forked: against a folder, and against a head", async () => {
  const w = await world();
  let log = w.open();
  for (let n = 0; n < 4; n++) log.append([started]);
  log.close();
  const copy = join(scratch(), "audit");
  let looked = 0;
  for (let n = 0; n < 4; n++) {
    const { size } = log;
    cpSync(w.folder, copy, { recursive: true, force: true });
    log = w.open();
    log.append([{ kind: "stopped", why: `here ${n}` }]);
    const head = log.checkpoint();
    log.close();
    const at = parseCheckpoint(head);
    if (at === null) throw new Error("no head");
    const given = { ca: w.caPem };
    const rolledBack = { exit: 13, damage: { kind: "rolled-back", index: size, what: "against" } };
    expect(await verifyLog(realDisk, copy, { ...given, against: { folder: w.folder } })).toMatchObject(rolledBack);
    expect(await verifyLog(realDisk, copy, { ...given, against: { note: head, at, name: "kept" } })).toMatchObject(
      rolledBack,
    );
    // The longer one is not the worse for it.
    expect(await verifyLog(realDisk, w.folder, { ...given, against: { folder: copy } })).toMatchObject({ exit: 11 });
    const { openLog } = await import("../../agent/audit/log.ts");
    const other = openLog(realHost(), copy, w.as);
    other.append([{ kind: "stopped", why: `there ${n}` }]);
    const otherHead = other.checkpoint();
    other.close();
    const otherAt = parseCheckpoint(otherHead);
    if (otherAt === null) throw new Error("no head");
    const forked = { exit: 13, damage: { kind: "forked", index: size, line: size + 1 } };
    expect(await verifyLog(realDisk, copy, { ...given, against: { folder: w.folder } })).toMatchObject(forked);
    expect(await verifyLog(realDisk, w.folder, { ...given, against: { folder: copy } })).toMatchObject(forked);
    const byHead = { ...given, against: { note: otherHead, at: otherAt, name: "kept" } };
    expect(await verifyLog(realDisk, w.folder, byHead)).toMatchObject({ exit: 13, damage: { kind: "forked" } });
    looked += 7;
  }
  expect(looked).toBe(28);
});

test("a proof verifies alone, says who saw its head, and proves nothing once a byte of it is changed", async () => {
  const { w, heads } = await filled();
  const newest = heads.at(-1) ?? "";
  keep(w, `${newest}${OWNER.line(newest)}`);
  const size = parseCheckpoint(newest)?.size ?? 0;
  for (let index = 0; index < size; index++) {
    const proof = prove(realDisk, [w.folder], index, "cosigned");
    if ("cannot" in proof) throw new Error(proof.cannot);
    const given = { ca: w.caPem, witnesses: [OWNER, CONTROL] };
    expect(await verifyProof(proof.text, given)).toMatchObject({ exit: 0, index, size, entry: { index } });
    expect((await verifyProof(proof.text, { ...given, witnesses: [CONTROL] })).exit).toBe(11);
    expect((await verifyProof(proof.text, { ...given, ca: null })).exit).toBe(14);
    if (index % 7 !== 0) continue;
    const bytes = Buffer.from(proof.text);
    for (let at = 0; at < bytes.length; at += 31) {
      const flipped = Buffer.from(bytes.with(at, (bytes[at] ?? 0) ^ 1)).toString("utf8");
      const { exit } = await verifyProof(flipped, { ca: w.caPem, witnesses: [] });
      // Below the head stand lines of others, which say nothing to who was given no key of theirs.
      if (at < bytes.length - Buffer.byteLength(OWNER.line(newest)))
        expect({ at, ok: exit >= 12 }).toEqual({ at, ok: true });
    }
  }
}, 120_000);
