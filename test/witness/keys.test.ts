import { afterAll, expect, test } from "bun:test";
import { cpSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Log, openLog } from "../../agent/audit/log.ts";
import { realHost } from "../../agent/host/real.ts";
import type { WitnessConfig } from "../../agent/witness/config.ts";
import { type AskWitness, type Follower, follower } from "../../agent/witness/follow.ts";
import { savedIdentity, scratch, started, type World, world } from "../audit/world.ts";
import { type Witness, witness } from "./world.ts";

/** The log's keys change with its segments: `reeve-control witness`, the executable, follows the agent's own code from one to the next. */
const all: Witness[] = [];
afterAll(async () => {
  for (const one of all) await one.end();
});

const SMALL = { segmentBytes: 3000 };

async function stage(): Promise<{ w: World; to: Witness }> {
  const w = await world(SMALL);
  const to = witness(w.caPem);
  all.push(to);
  await to.start();
  return { w, to };
}

function following(to: Witness, log: Log): Follower {
  const config: WitnessConfig = { name: "w", url: to.ready.url, key: to.ready.key, required: true };
  const ask: AskWitness = (_, path, body) => to.post(path, body);
  return follower(config, log, ask, () => undefined);
}

/** Appends until the log has so many segments. */
function grow(log: Log, segments: number): void {
  while (log.segments().length < segments) log.append([started]);
}

test("each successor is taken as it comes, and everything is cosigned", async () => {
  const { w, to } = await stage();
  const log = w.open();
  const one = following(to, log);
  while (log.segments().length < 5) {
    log.append([started]);
    expect(await one.attempt()).toBeNull();
    expect(one.cosigned().size).toBe(log.size);
  }
  log.close();
  expect(to.show()).toMatchObject({ code: 0, told: { logs: [{ size: log.size }], refused: [] } });
}, 120_000);

test("a witness that missed several keys is brought from one to the next, also after a restart of both", async () => {
  const { w, to } = await stage();
  let log = w.open();
  log.append([started]);
  expect(await following(to, log).attempt()).toBeNull();
  grow(log, 4);
  log.close();
  await to.stop("SIGKILL");
  await to.start();
  log = w.open();
  expect(await following(to, log).attempt()).toBeNull();
  expect(to.show().told).toMatchObject({ logs: [{ size: log.size }], refused: [] });
  log.close();
}, 120_000);

test("a witness that comes when the first segments were moved away begins with the first key that is here", async () => {
  const { w, to } = await stage();
  let log = w.open();
  grow(log, 4);
  log.close();
  const [first = 0, second = 0] = log.segments();
  for (const gone of [first, second]) rmSync(join(w.folder, `${String(gone).padStart(20, "0")}.jsonl`));
  log = w.open();
  expect(await following(to, log).attempt()).toBeNull();
  log.append([started]);
  expect(await following(to, log).attempt()).toBeNull();
  expect(to.show().told).toMatchObject({ logs: [{ size: log.size }], refused: [] });
  log.close();
}, 120_000);

test("segments that were moved back are shown with their keys, and are no second key", async () => {
  const { w, to } = await stage();
  let log = w.open();
  grow(log, 3);
  log.close();
  const [first = 0] = log.segments();
  const path = join(w.folder, `${String(first).padStart(20, "0")}.jsonl`);
  renameSync(path, `${path}-away`);
  log = w.open();
  expect(await following(to, log).attempt()).toBeNull();
  log.close();
  renameSync(`${path}-away`, path);
  log = w.open();
  grow(log, 6);
  expect(await following(to, log).attempt()).toBeNull();
  expect(to.show()).toMatchObject({ code: 0, told: { logs: [{ size: log.size }], refused: [] } });
  log.close();
}, 120_000);

/** Folder, keys and identity as they are now, somewhere else: what a thief took. */
function stolen(w: World, more: { segmentBytes: number }): () => Log {
  const place = join(scratch(), "thief");
  mkdirSync(place);
  cpSync(dirname(w.folder), place, { recursive: true });
  const folder = join(place, "audit");
  return () => openLog(realHost(), folder, { ...savedIdentity(folder), ...more });
}

test("nothing of an older key is taken once its successor is known, and that it signed is kept as evidence", async () => {
  const { w, to } = await stage();
  let log = w.open();
  log.append([started]);
  log.close();
  const thief = stolen(w, { segmentBytes: 1 << 20 });
  log = w.open();
  grow(log, 3);
  expect(await following(to, log).attempt()).toBeNull();
  const { size } = log;
  log.close();
  const other = thief();
  while (other.size <= size + 3) other.append([{ kind: "stopped", why: "by the older key" }]);
  expect(await following(to, other).attempt()).not.toBeNull();
  other.close();
  const { logs, refused } = to.show().told;
  expect(logs).toMatchObject([{ size }]);
  expect(refused.map(({ kind }) => kind)).toContain("older-key");
}, 120_000);

test("a second successor for the same key is refused, and kept as evidence", async () => {
  const { w, to } = await stage();
  let log = w.open();
  log.append([started]);
  log.close();
  const thief = stolen(w, SMALL);
  log = w.open();
  grow(log, 3);
  expect(await following(to, log).attempt()).toBeNull();
  const { size } = log;
  log.close();
  const other = thief();
  grow(other, 4);
  expect(await following(to, other).attempt()).not.toBeNull();
  other.close();
  const { logs, refused } = to.show().told;
  expect(logs).toMatchObject([{ size }]);
  expect(refused.map(({ kind }) => kind)).toContain("second-key");
}, 120_000);
