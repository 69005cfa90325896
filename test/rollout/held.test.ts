import { expect, test } from "bun:test";
import { verifyNote } from "../../agent/audit/note.ts";
import { MAX_MANIFEST_BYTES } from "../../agent/limits.ts";
import { rollback } from "../../control/rollout/steer.ts";
import { AS, filed, manifestOf, newSigner } from "../simulation/rollouts/world.ts";
import { newFleet } from "./fleet.ts";

/** What a driver signs comes from what its release key has signed, whatever somebody has written into the store. */
const digestOf = (fleet: Awaited<ReturnType<typeof newFleet>>, cluster: string, version: string): string =>
  filed(manifestOf(cluster, version, 1), fleet.release).digest;

test("a cluster whose manifest the release key has not signed, under its name and for this cluster, is put aside", async () => {
  const fleet = await newFleet(["a", "b", "c", "d", "e"]);
  const [good, other] = [digestOf(fleet, "a", "1.0.0"), newSigner("release-test")];
  await fleet.start();
  const keep = (cluster: string, note: string): Promise<void> =>
    fleet.run("update manifests set note = $1 where cluster = $2", note, cluster);
  await keep("b", filed(manifestOf("b", "1.0.0", 1), other).note);
  await keep("c", filed(manifestOf("c", "1.0.0", 1), fleet.release).note.replaceAll(AS, "vendor.example/other"));
  await fleet.run("update revisions set digest = $1 where cluster = 'd'", good);
  // One that the key has signed, for this cluster, and the digest names another.
  await keep("e", filed(manifestOf("e", "0.9.0", 1), fleet.release).note);
  await fleet.driver().drive(1);
  for (const cluster of ["b", "c", "d", "e"])
    expect(await fleet.member(cluster)).toMatchObject({ state: "cut-off", code: "manifest-not-signed", target: null });
  expect(await fleet.asked()).toEqual([{ cluster: "a", group: "g0", manifest: digestOf(fleet, "a", "2.0.0") }]);
});

test("at the start such a cluster is named, and nothing begins", async () => {
  const fleet = await newFleet(["a", "b"]);
  const { note } = filed(manifestOf("b", "1.0.0", 1), newSigner("release-test"));
  await fleet.run("update manifests set note = $1 where cluster = 'b'", note);
  await expect(fleet.start()).rejects.toThrow(`b: its manifest is not signed by ${AS} with this key`);
});

test("going back, it goes to a manifest of its own that the release key has signed, and to groups that this names", async () => {
  const fleet = await newFleet(["a", "b", "c", "d"]);
  const other = newSigner("release-test");
  await fleet.start();
  const driver = fleet.driver();
  await driver.drive(1);
  await fleet.answer();
  await fleet.store.transaction((sql) => rollback(sql, 1));
  await fleet.run("update rollout_clusters set was = target where cluster = 'b'");
  await fleet.run(`update rollout_clusters set wanted = '["g0","others"]' where cluster = 'c'`);
  await fleet.run(
    "update manifests set note = $1 where digest = $2",
    filed(manifestOf("d", "1.0.0", 1), other).note,
    digestOf(fleet, "d", "1.0.0"),
  );
  await fleet.run("delete from commands");
  await fleet.run("update rollout_clusters set due = 0");
  await driver.drive(1);
  for (const cluster of ["c", "d"])
    expect(await fleet.member(cluster)).toMatchObject({ state: "cut-off", code: "manifest-not-signed" });
  // The manifest that it goes back to is whichever of its own the store names: `was` of b is one too.
  expect(await fleet.asked()).toEqual([
    { cluster: "a", group: "g0", manifest: digestOf(fleet, "a", "1.0.0") },
    { cluster: "b", group: "g0", manifest: digestOf(fleet, "b", "2.0.0") },
  ]);
});

test("sent again, it is the target that the driver makes of content and parameters, not the row's", async () => {
  const fleet = await newFleet(["a", "b"]);
  await fleet.start();
  const driver = fleet.driver();
  await driver.drive(1);
  await fleet.run("update rollout_clusters set target = was where cluster = 'b'");
  await fleet.run("update commands set state = 'expired'");
  await fleet.run("update rollout_clusters set due = 0");
  await driver.drive(1);
  expect(await fleet.member("b")).toMatchObject({ state: "cut-off", code: "manifest-not-signed" });
  const manifest = digestOf(fleet, "a", "2.0.0");
  expect((await fleet.asked()).filter(({ cluster }) => cluster === "a")).toEqual(
    Array.from({ length: 2 }, () => ({ cluster: "a", group: "g0", manifest })),
  );
  expect((await fleet.asked()).filter(({ cluster }) => cluster === "b")).toHaveLength(1);
});

test("copies are signed under the name with which the order was verified, whatever the row says later", async () => {
  const fleet = await newFleet(["a", "b"]);
  await fleet.start({ lanes: [50, 100] });
  const driver = fleet.driver();
  await driver.drive(1);
  await fleet.run("update rollouts set signer = 'vendor.example/other', lane = 1");
  await fleet.run("update rollout_clusters set due = 0");
  await driver.drive(1);
  const notes = await fleet.store.transaction((sql) =>
    sql.rows<{ note: string }>("select m.note as note from manifests m join rollout_clusters r on r.target = m.digest"),
  );
  expect(notes).toHaveLength(2);
  const key = Buffer.from(fleet.release.x, "base64url");
  for (const { note } of notes) expect(verifyNote(note, AS, key, MAX_MANIFEST_BYTES)).not.toBeNull();
});

test("a first trust statement is never signed unattended", async () => {
  const fleet = await newFleet(["a", "b"]);
  await fleet.start();
  await fleet.run("delete from trust where cluster = 'b'");
  await fleet.driver().drive(1);
  expect(await fleet.member("b")).toMatchObject({ state: "cut-off", code: "no-trust-statement", target: null });
  expect((await fleet.asked()).map(({ cluster }) => cluster)).toEqual(["a"]);
  const trust = await fleet.store.transaction((sql) => sql.rows("select * from trust where cluster = 'b'"));
  expect(trust).toEqual([]);
});
