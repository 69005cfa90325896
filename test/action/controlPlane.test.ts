import { afterAll, beforeAll, expect, test } from "bun:test";
import { addProgram, deploy, last, manifest, running, type Stage, scale, stage } from "./world.ts";

/** Manifests out of the control plane's store, programs out of the owner's directory: by the compiled executables. */
let s: Stage;
beforeAll(async () => {
  const uid = process.getuid?.() ?? 0;
  s = await stage({ artifacts: (directory) => `{ directory: ${directory}, uid: ${uid}, control_plane: true }` });
  await s.start();
  scale(s, 1);
}, 180_000);
afterAll(async () => {
  await s?.end();
}, 60_000);

test("the control plane hands out its cluster's own manifests by their digest, and no other cluster's", () => {
  const next = addProgram(s.artifacts, "next");
  const own = manifest(s, next);
  expect(deploy(s, own.digest)).toMatchObject({ code: 1 });
  expect(last(s, "refused")).toMatchObject({ code: "artifact.missing" });
  expect(s.w.vendor("manifest import", own.file)).toMatchObject({ code: 0 });
  // Of another cluster it is not so much as said that it is there.
  const others = manifest(s, next, { cluster: "prod-eu-2" });
  expect(s.w.vendor("manifest import", others.file)).toMatchObject({ code: 0 });
  expect(deploy(s, others.digest)).toMatchObject({ code: 1 });
  expect(last(s, "refused")).toMatchObject({ code: "artifact.missing" });
  expect(running(s)).toEqual([s.first.image]);
  expect(deploy(s, own.digest)).toMatchObject({ code: 0 });
  expect(running(s)).toEqual([next.image]);
}, 120_000);
