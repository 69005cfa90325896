import { expect, test } from "bun:test";
import { countRollouts, readRollouts } from "../../control/pages/rollouts.ts";
import { driveOpen } from "../../control/rollout/driver.ts";
import { PUT_AT_ONCE } from "../../control/rollout/limits.ts";
import { summaryOf } from "../../control/rollout/read.ts";
import { abort, readRollout } from "../../control/rollout/steer.ts";
import { countsOf } from "../../control/rollout/turn.ts";
import { nowSeconds } from "../../control/store.ts";
import { Complaint } from "../../control/terminal.ts";
import { filed, manifestOf, newSigner } from "../simulation/rollouts/world.ts";
import { type Fleet, newFleet } from "./fleet.ts";

const MINUTE = 60_000;
const state = async ({ store }: Fleet) => (await store.transaction((sql) => readRollout(sql, 1))).state;

test("a release that silences the clusters of the first lane stops itself, and nobody else gets it", async () => {
  const fleet = await newFleet(["a", "b", "c", "d"]);
  await fleet.start({ lanes: [50, 100], canaries: ["a"], waitMs: 30 * MINUTE });
  const driver = fleet.driver();
  await driver.drive(1);
  // One had it, the other had begun with it; then nothing is heard of either.
  await fleet.run("update commands set state = 'intent' where cluster <> 'a'");
  await fleet.answer();
  await fleet.run("update clusters set last_seen = 0 where cluster in (select cluster from commands)");
  const touched = (await fleet.asked()).map(({ cluster }) => cluster);
  expect(touched).toHaveLength(2);
  await fleet.run("update rollout_clusters set due = 0 where due < 9007199254740991");
  await driver.drive(1);
  for (const cluster of touched)
    expect(await fleet.member(cluster)).toMatchObject({ state: "cut-off", code: "silent", lane: 0 });
  const counts = await fleet.store.transaction(async (sql) => countsOf(sql, await readRollout(sql, 1)));
  expect(counts).toMatchObject({ begun: 2, active: 2, failed: 0, healthy: 0 });
  fleet.pass(29 * MINUTE);
  await driver.drive(1);
  expect(await state(fleet)).toBe("running");
  fleet.pass(2 * MINUTE);
  await driver.drive(1);
  for (const cluster of touched) expect(await fleet.member(cluster)).toMatchObject({ state: "failed", code: "silent" });
  expect(await state(fleet)).toBe("stopped");
  expect(await fleet.asked()).toHaveLength(2);
  const silent = async () => (await fleet.store.read(readRollouts))[0]?.silent;
  expect(await silent()).toBe(2);
  await fleet.run("update clusters set last_seen = $1 where cluster = $2", nowSeconds(), "a");
  expect(await silent()).toBe(1);
});

test("a lane in which nobody can act is widened when it was waited for: one cluster more is tried, until one is well", async () => {
  const fleet = await newFleet(["a", "b", "c", "d", "e"]);
  await fleet.start({ lanes: [20, 100], canaries: ["a"], waitMs: 30 * MINUTE });
  const away = async (cluster: string): Promise<void> =>
    fleet.run("update clusters set last_seen = 0 where cluster = $1", cluster);
  await away("a");
  const order = await fleet.store.read((sql) =>
    sql.rows<{ cluster: string }>("select cluster from rollout_clusters where rollout = 1 order by position"),
  );
  const [, second = "", third = ""] = order.map(({ cluster }) => cluster);
  await away(second);
  const driver = fleet.driver();
  const pass = async (minutes: number): Promise<void> => {
    fleet.pass(minutes * MINUTE);
    await driver.drive(1);
    await driver.drive(1);
  };
  const sizes = async (): Promise<number[]> =>
    (await fleet.store.read((sql) => summaryOf(sql, 1))).lanes.map(({ clusters }) => clusters);
  await driver.drive(1);
  await pass(29);
  expect(await sizes()).toEqual([1, 4]);
  await pass(2);
  expect(await sizes()).toEqual([2, 3]);
  // The one that came in is waited for as long.
  await pass(29);
  expect([await sizes(), await fleet.asked()]).toEqual([[2, 3], []]);
  await pass(2);
  expect((await fleet.asked()).map(({ cluster }) => cluster)).toEqual([third]);
  expect(await fleet.member(third)).toMatchObject({ lane: 0, canary: 0 });
  await pass(300);
  expect((await fleet.store.read((sql) => readRollout(sql, 1))).lane).toBe(0);
  await fleet.answer();
  await driver.drive(1);
  // A soak is longer by as much as the rollout's time may be behind.
  await pass(61);
  await pass(61);
  expect((await fleet.store.read((sql) => readRollout(sql, 1))).lane).toBe(1);
  expect(await fleet.asked()).toHaveLength(3);
});

test("a rollout that stopped itself is over for the numbers once somebody has aborted it, and says why all the same", async () => {
  const fleet = await newFleet(["a", "b"]);
  await fleet.start({ canaries: ["a"] });
  const driver = fleet.driver();
  await driver.drive(1);
  await fleet.run("update commands set state = 'failed' where cluster = 'a'");
  await fleet.run("update rollout_clusters set due = 0, news = 2 where cluster = 'a'");
  await driver.drive(1);
  expect(await state(fleet)).toBe("stopped");
  await fleet.store.transaction((sql) => abort(sql, 1));
  expect(await fleet.store.read((sql) => summaryOf(sql, 1))).toMatchObject({
    state: "aborted",
    because: "a canary failed",
  });
  expect((await fleet.store.read(countRollouts)).get("stopped")).toBeUndefined();
  await expect(fleet.store.transaction((sql) => abort(sql, 1))).rejects.toThrow("it is aborted");
});

test("what cannot be signed for one cluster puts that one aside, and the others get theirs", async () => {
  const fleet = await newFleet(["a", "b", "c"]);
  await fleet.start();
  const { command } = fleet;
  const complaint = new Complaint(2, "sign", "two keys are there", "Give --kid.");
  const driver = fleet.driver({
    command(statements) {
      if (statements[0]?.claims.aud === "b") throw complaint;
      return statements[0]?.claims.aud !== "c"
        ? command
        : {
            ...command,
            sign() {
              throw complaint;
            },
          };
    },
  });
  await driver.drive(1);
  expect(await fleet.member("b")).toMatchObject({ state: "cut-off", code: "key-not-chosen" });
  expect(await fleet.member("c")).toMatchObject({ state: "cut-off", code: "command-not-signable" });
  expect((await fleet.asked()).map(({ cluster }) => cluster)).toEqual(["a"]);
  // What is no complaint is a mistake of ours, and ends the process.
  await fleet.run("update rollout_clusters set due = 0");
  const broken = fleet.driver({
    command() {
      throw new TypeError("ours");
    },
  });
  await expect(broken.drive(1)).rejects.toThrow("ours");
});

test("a manifest that is too large to be signed, too", async () => {
  const fleet = await newFleet(["a", "b"]);
  await fleet.start();
  const sign = fleet.release.sign;
  const tooLarge = new Complaint(3, "sign the manifest", "it is over so many bytes", "Split the cluster.");
  const release = {
    ...fleet.release,
    sign(bytes: Uint8Array) {
      if (Buffer.from(bytes).includes('"cluster":"a"')) throw tooLarge;
      return sign(bytes);
    },
  };
  await fleet.driver({ release }).drive(1);
  expect(await fleet.member("a")).toMatchObject({ state: "cut-off", code: "manifest-not-signable" });
  expect((await fleet.asked()).map(({ cluster }) => cluster)).toEqual(["b"]);
});

test("a rollout that cannot be driven is told once, and the others are driven", async () => {
  const fleet = await newFleet(["a", "b"]);
  await fleet.start({ only: ["a"] });
  await fleet.start({ only: ["b"] });
  const other = filed(manifestOf("any", "2.0.0", 1), newSigner("release-test"));
  await fleet.run("update rollouts set note = $1 where id = 1", other.note);
  const [driver, said, told] = [fleet.driver(), new Set<string>(), [] as string[]];
  for (let round = 0; round < 3; round++) await driveOpen(driver, said, ({ message }) => void told.push(message));
  expect(told).toEqual([
    "Cannot drive rollout 1: its manifest is not signed by vendor.example/release-2026 with this key.",
  ]);
  expect((await fleet.asked()).map(({ cluster }) => cluster)).toEqual(["b"]);
  const broken = { ...driver, drive: () => Promise.reject(new TypeError("ours")) };
  await expect(driveOpen(broken, said, () => undefined)).rejects.toThrow("ours");
});

test.each([
  ["ten clusters", 0, 15, PUT_AT_ONCE],
  ["two seconds of signing", 3000, 5, 4],
] as const)(
  "what was signed is queued after %s: a slow signer keeps it, whatever happens then",
  async (_, slow, dies, queued) => {
    const fleet = await newFleet(Array.from({ length: 20 }, (__, n) => `c${n}`));
    await fleet.start();
    let signed = 0;
    const command = {
      ...fleet.command,
      sign(bytes: Uint8Array) {
        if (++signed === dies) throw new TypeError("it died");
        fleet.pass(slow);
        return fleet.command.sign(bytes);
      },
    };
    await expect(fleet.driver({ command: () => command }).drive(1)).rejects.toThrow("it died");
    expect(await fleet.asked()).toHaveLength(queued);
  },
);
