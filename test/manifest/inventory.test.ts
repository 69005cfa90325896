import { afterAll, beforeAll, expect, test } from "bun:test";
import { Manifest } from "../../agent/wire/manifest.ts";
import { holders, isVersion, keepManifest } from "../../control/manifest/inventory.ts";
import type { Store } from "../../control/store.ts";
import { newStore } from "../fleet/engine.ts";

let store: Store;
beforeAll(async () => {
  store = await newStore();
});
afterAll(() => store.close());

function manifest(cluster: string, packages: readonly string[]): Manifest {
  const image = { name: "broker", digest: `sha256:${"0".repeat(64)}`, packages: [...packages].sort() };
  const place = { cloud: "aws", account: "1", region: "r" };
  const rest = { images: {}, groups: {}, zones: [], authorities: [], names: [], policy: null };
  return Manifest.parse({
    type: "reeve-manifest",
    v: 1,
    says: "x",
    content: { agent: null, images: [image], version: "1.0.0" },
    parameters: { cluster, place, ...rest },
  });
}

test("a version asked for is that one, or a distribution's revision of it", () => {
  const yes = [
    ["3.0.11", "3.0.11"],
    ["3.0.11-1~deb12u2", "3.0.11"],
    ["1:3.0.11-1", "3.0.11"],
    ["1:3.0.11-1", "1:3.0.11"],
    ["3.0.11+dfsg-1", "3.0.11"],
    ["3.0.11-1~deb12u2", "3.0.11-1~deb12u2"],
    ["3.0.11", "3.0.*"],
  ] as const;
  const no = [
    ["3.0.110", "3.0.11"],
    ["3.0.11.1", "3.0.11"],
    ["13.0.11", "3.0.11"],
    ["3.0.1", "3.0.11"],
    ["3.1.0", "3.0.*"],
  ] as const;
  for (const [version, asked] of yes)
    expect([version, asked, isVersion(version, asked)]).toEqual([version, asked, true]);
  for (const [version, asked] of no)
    expect([version, asked, isVersion(version, asked)]).toEqual([version, asked, false]);
});

test("of a thousand clusters with five hundred libraries each, those that hold one in their newest manifest, and no other", async () => {
  const common = Array.from({ length: 499 }, (_, n) => `pkg:deb/debian/lib${n}@1.${n}-1`);
  await store.transaction(async (sql) => {
    for (let n = 0; n < 1000; n++) {
      const cluster = `c-${n}`;
      // Every content another one, as if no two clusters were alike.
      const own = [
        ...common.slice(0, 498),
        `pkg:deb/debian/own${n}@1`,
        `pkg:deb/debian/libssl3@3.0.${n % 10 === 0 ? 11 : 13}-1~deb12u2`,
      ];
      await keepManifest(sql, { manifest: manifest(cluster, own), digest: `old-${n}`, note: "" }, "x", "y");
    }
    // These have moved on.
    for (let n = 0; n < 1000; n += 20)
      await keepManifest(
        sql,
        { manifest: manifest(`c-${n}`, ["pkg:deb/debian/libssl3@3.0.14-1"]), digest: `new-${n}`, note: "" },
        "x",
        "y",
      );
  });
  const found = await store.transaction((sql) => holders(sql, "libssl*", "3.0.11"));
  expect(found.map(({ cluster }) => cluster).sort()).toEqual(
    Array.from({ length: 50 }, (_, n) => `c-${n * 20 + 10}`).sort(),
  );
  expect((await store.transaction((sql) => holders(sql, "libssl3", null))).length).toBe(1000);
  expect(await store.transaction((sql) => holders(sql, "libssl", null))).toEqual([]);
}, 120_000);
