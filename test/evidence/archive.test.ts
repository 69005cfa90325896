import { expect, test } from "bun:test";
import { appendFileSync, cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { movable, moveAway } from "../../agent/audit/moveAway.ts";
import { prove } from "../../agent/audit/prove.ts";
import { verifyLog } from "../../agent/audit/verify.ts";
import { verifyProof } from "../../agent/audit/verifyProof.ts";
import { realDisk, realHost } from "../../agent/host/real.ts";
import { stopping } from "../audit/stopping.ts";
import { intent, outcome, refused, scratch, started, type World, world } from "../audit/world.ts";
import { REEVE, ran } from "../e2e/world.ts";

/** Old segments are moved away by the executable, and by hand: what is left verifies, proves, and goes on. */
const DAY = 24 * 3600 * 1000;

type Archived = { readonly w: World; readonly ca: string; readonly to: string; readonly id: string };

/** A log whose entries are of the last 60 days, a segment for each few; the certificate is as old as the log. */
async function old(): Promise<Archived> {
  const now = Date.now();
  let at = now - 60 * DAY;
  const w = await world({ segmentBytes: 4000 }, { notBefore: new Date(at - DAY), caFrom: new Date(at - DAY) });
  const host = realHost();
  const log = w.open({ ...host, clock: { ...host.clock, now: () => at } });
  const id = Bun.randomUUIDv7();
  log.append([intent(id)]);
  log.append([outcome(id, 1), refused(Bun.randomUUIDv7())]);
  for (let n = 0; n < 40; n++) {
    at += 1.5 * DAY;
    if (at < now) log.append([started]);
  }
  log.close();
  const ca = join(scratch(), "ca.pem");
  writeFileSync(ca, w.caPem);
  const to = join(scratch(), "archive");
  mkdirSync(to, { mode: 0o700 });
  return { w, ca, to, id };
}

const segments = (folder: string): string[] => realDisk.list(folder).filter((name) => name.endsWith(".jsonl"));
const files = (folder: string): string[] => realDisk.list(folder).filter((name) => /^\d{20}\./.test(name));

test("audit archive moves what is older than 30 days; the rest is incomplete alone, and whole with what was moved", async () => {
  const { w, ca, to } = await old();
  const before = segments(w.folder);
  const done = ran(REEVE, "audit", "archive", "--log", w.folder, "--to", to);
  expect(done).toMatchObject({ code: 0, stderr: "" });
  const moved = segments(to);
  expect(moved.length).toBeGreaterThan(1);
  expect([...moved, ...segments(w.folder)]).toEqual(before);
  expect(done.stdout).toContain(`moved ${moved.length} segments`);
  expect(ran(REEVE, "audit", "verify", "--log", w.folder, "--ca", ca).code).toBe(12);
  const whole = ran(REEVE, "audit", "verify", "--log", w.folder, "--ca", ca, "--with", to);
  expect(whole.code).toBe(11);
  // Again there is nothing to do.
  expect(ran(REEVE, "audit", "archive", "--log", w.folder, "--to", to).stdout).toContain("nothing to move");
  const log = w.open();
  log.append([started]);
  log.close();
  expect(await verifyLog(realDisk, w.folder, { ca: w.caPem, with: [to] })).toMatchObject({ exit: 11, missing: [] });
  // What was moved is held to the rest: a byte of it, and it is damaged.
  const path = join(to, moved[1] ?? "");
  writeFileSync(path, readFileSync(path, "utf8").replace("0.1.0", "0.1.9"));
  expect(await verifyLog(realDisk, w.folder, { ca: w.caPem, with: [to] })).toMatchObject({
    exit: 13,
    damage: { kind: "edited", file: moved[1] },
  });
});

test("the same by hand with mv, and an archive that lies in two folders", async () => {
  const { w, to } = await old();
  const other = join(scratch(), "other");
  mkdirSync(other);
  for (const [at, name] of files(w.folder).slice(0, 5).entries())
    renameSync(join(w.folder, name), join(at < 2 ? to : other, name));
  expect((await verifyLog(realDisk, w.folder, { ca: w.caPem, with: [other] })).exit).toBe(12);
  expect((await verifyLog(realDisk, w.folder, { ca: w.caPem, with: [other, to] })).exit).toBe(11);
  const log = w.open();
  log.append([started]);
  log.close();
  expect((await verifyLog(realDisk, w.folder, { ca: w.caPem, with: [to, other] })).exit).toBe(11);
});

test("with older segments away each entry that is here is proven by itself, and one that is away says what is missing", async () => {
  const { w, ca, to } = await old();
  ran(REEVE, "audit", "archive", "--log", w.folder, "--to", to);
  const first = Number(segments(w.folder)[0]?.slice(0, 20));
  const verdict = await verifyLog(realDisk, w.folder, { ca: w.caPem });
  const out = join(scratch(), "entry.tlog-proof");
  for (let index = first; index < verdict.size; index++) {
    const proof = prove(realDisk, [w.folder], index, "newest");
    if ("cannot" in proof) throw new Error(proof.cannot);
    expect(await verifyProof(proof.text, { ca: w.caPem, witnesses: [] })).toMatchObject({ exit: 11, index });
  }
  const away = ran(REEVE, "audit", "prove", "1", "--log", w.folder);
  expect(away.code).toBe(14);
  expect(away.stderr).toContain("the segment with entry 1 is not here");
  expect(ran(REEVE, "audit", "prove", "1", "--log", w.folder, "--with", to, "--out", out).code).toBe(0);
  const alone = ran(REEVE, "audit", "verify", "--proof", out, "--ca", ca);
  expect(alone).toMatchObject({ code: 11, stderr: "" });
  expect(alone.stdout).toContain("entry 1 stands in a log of");
  // One archived segment is enough: the hashes of those between are kept beside the log.
  const one = join(scratch(), "one");
  mkdirSync(one);
  const name = segments(to)[0] ?? "";
  cpSync(join(to, name), join(one, name));
  expect("text" in prove(realDisk, [w.folder, one], 1, "newest")).toBe(true);
  rmSync(join(w.folder, ".leaves"), { recursive: true });
  expect(prove(realDisk, [w.folder, one], 1, "newest")).toMatchObject({
    cannot: expect.stringContaining("are not here"),
  });
  expect("text" in prove(realDisk, [w.folder, to], 1, "newest")).toBe(true);
  // Hashes that are kept prove nothing by themselves: false ones lead to no signed head, and the lines are taken where they are.
  const leaves = join(w.folder, ".leaves");
  mkdirSync(leaves);
  const kept = Number(segments(to)[1]?.slice(0, 20)) - Number(name.slice(0, 20));
  writeFileSync(join(leaves, name.slice(0, 20)), Buffer.alloc(32 * kept, 1));
  expect("text" in prove(realDisk, [w.folder, to], 1, "newest")).toBe(true);
});

test("moving stops at any change, and goes on: nothing is removed before its copy was read back", async () => {
  let points = 0;
  for (const done of [false, true]) {
    for (let stopAt = 1; stopAt < 60; stopAt++) {
      const { w, to } = await old();
      const disk = stopping(stopAt, done);
      let died = false;
      const going = (on: typeof realDisk) => {
        for (const segment of movable(on, w.folder, Date.now() - 30 * DAY).slice(0, 2))
          expect(moveAway(on, w.folder, to, segment)).toBeNull();
      };
      try {
        going(disk.disk);
      } catch (error) {
        died = true;
        expect(String(error)).toContain("stopped here");
      }
      points += 1;
      expect((await verifyLog(realDisk, w.folder, { ca: w.caPem, with: [to] })).exit).toBe(11);
      going(realDisk);
      expect((await verifyLog(realDisk, w.folder, { ca: w.caPem, with: [to] })).exit).toBe(11);
      expect(realDisk.list(to).filter((name) => name.endsWith(".part"))).toEqual([]);
      if (!died) break;
    }
  }
  expect(points).toBeGreaterThan(20);
}, 120_000);

test("a copy that the disk kept otherwise than it was written is found out, and the original stays", async () => {
  const { w, to } = await old();
  const [segment] = movable(realDisk, w.folder, Date.now() - 30 * DAY);
  if (segment === undefined) throw new Error("nothing to move");
  const lying: typeof realDisk = {
    ...realDisk,
    appender(path, mode) {
      const file = realDisk.appender(path, mode);
      const append = (bytes: Uint8Array): void => file.append(bytes.with(100, (bytes[100] ?? 0) ^ 1));
      return { ...file, append, sync: () => file.sync(), close: () => file.close() };
    },
  };
  const before = files(w.folder);
  expect(moveAway(lying, w.folder, to, segment)).toContain("reads otherwise than what was written");
  expect(files(w.folder)).toEqual(before);
});

test("refused: what rates look back on, a folder that is not there, a copy that says something else, a carry file that is not whole", async () => {
  const { w, to } = await old();
  const archive = (...more: string[]) => ran(REEVE, "audit", "archive", "--log", w.folder, "--to", to, ...more);
  const before = files(w.folder);
  const young = archive("--before", new Date(Date.now() - 7 * DAY).toISOString());
  expect(young).toMatchObject({ code: 2, stdout: "" });
  expect(young.stderr).toContain("is what rates look back on");
  expect(ran(REEVE, "audit", "archive", "--log", w.folder, "--to", join(to, "nowhere")).code).toBe(2);
  const name = before.find((one) => one.endsWith("jsonl")) ?? "";
  cpSync(join(w.folder, name), join(to, name));
  appendFileSync(join(to, name), "{}\n");
  const other = archive();
  expect(other.code).toBe(1);
  expect(other.stderr).toContain("says something else");
  rmSync(join(to, name));
  const movables = movable(realDisk, w.folder, Date.now() - 30 * DAY);
  const next = String(movables.at(-1)?.next).padStart(20, "0");
  const carry = join(w.folder, `${next}.carry.json`);
  const bytes = readFileSync(carry);
  writeFileSync(carry, "{}");
  const broken = archive();
  expect(broken.code).toBe(1);
  expect(broken.stderr).toContain("nobody knows the ids and rates");
  expect(files(w.folder)).toEqual(before);
  writeFileSync(carry, bytes);
  expect(archive().code).toBe(0);
});

test("no segment is archived that a control plane out of reach is still to be handed", async () => {
  const { w } = await old();
  const folder = scratch();
  const state = join(folder, "state");
  mkdirSync(state, { recursive: true, mode: 0o700 });
  cpSync(w.folder, join(state, "audit"), { recursive: true });
  const to = join(folder, "archive");
  mkdirSync(to);
  const config = join(folder, "reeve.yaml");
  const lines = [
    "version: 1",
    "cluster: prod-eu-1",
    `control_plane: { enrol: "https://127.0.0.1:1", trust_sha256: ${"A".repeat(43)} }`,
    `state: ${state}`,
    `runtime: ${folder}`,
    `token: { file: ${folder}/token }`,
    "provider: local",
  ];
  writeFileSync(config, `${lines.join("\n")}\n`, { mode: 0o644 });
  const archive = () => ran(REEVE, "audit", "archive", "--config", config, "--to", to);
  const say = (days: number | null): void => {
    const since = days === null ? null : new Date(Date.now() - days * DAY).toISOString();
    writeFileSync(join(folder, "status.json"), JSON.stringify({ out_of_contact: since && { since, reason: "x" } }));
  };
  say(40);
  const refused = archive();
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("the control plane has not been reached since");
  expect(segments(to)).toEqual([]);
  say(20);
  expect(archive()).toMatchObject({ code: 0, stderr: "" });
  expect(segments(to).length).toBeGreaterThan(1);
});
