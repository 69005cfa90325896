import { afterAll, afterEach, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { localProvider } from "../../providers/local/local.ts";
import type { DeployState } from "../../providers/provider.ts";
import { sample } from "../crash/sample.ts";
import { addProgram, imagesIn, killAll, type Premises, premises } from "./programs.ts";
import { act, errand, gateFor, host, removeAll, scratch } from "./world.ts";

/** Kill -9 at a write of the local provider's bookkeeping while a group is replaced; then what the next start does under the same intent. */
const COUNT = 2;
const root = scratch();
let folder = root;
afterEach(() => killAll(folder));
afterAll(() => removeAll([root]));

async function fresh(): Promise<Premises> {
  folder = mkdtempSync(join(root, "one-"));
  const at = premises(folder);
  const { scale } = localProvider({ host }, at.config, at.state);
  await act({ action: scale, args: { group: "web", count: COUNT }, resource: "web" });
  return at;
}

/** Deploys in a process of its own, which dies there; whether it did. */
function died(at: Premises, args: object, id: string, point: string): Promise<boolean> {
  const { state, config, artifacts } = at;
  const env = {
    ...process.env,
    STARTER: JSON.stringify({ state, config, artifacts, at: point, deploy: { args, id } }),
  };
  const child = spawn(process.execPath, [join(import.meta.dir, "starter.ts")], { env, stdio: "inherit" });
  return new Promise((resolve) => child.once("exit", (_code, signal) => resolve(signal === "SIGKILL")));
}

/** Dies at this point, goes on, and gives what became of it. At no time are fewer there than may be missing, or more than there were. */
async function goesOn(at: Premises, image: string, point: string) {
  const args = { group: "web", manifest: `sha256:${"0".repeat(64)}`, image, digest: image };
  const found: DeployState = { image: at.first.image, count: COUNT, healthy: COUNT };
  const own = errand();
  if (!(await died(at, args, own.id, point))) return null;
  const { deploy } = localProvider({ host }, at.config, at.state, at.artifacts);
  if (deploy?.resume === undefined) throw new Error("a local deploy is gone on with");
  const seen: number[] = [imagesIn(folder).length];
  const beforeChange = () => {
    seen.push(imagesIn(folder).length);
  };
  const done = await deploy.resume(gateFor(deploy, args, "web", { beforeChange }).gate, args, found, own);
  expect([point, Math.min(...seen) >= COUNT - 1, Math.max(...seen) <= COUNT]).toEqual([point, true, true]);
  return done;
}

/** Points of this many writes; every run of the test takes others. */
function points(writes: number, most: number): string[] {
  const all = Array.from({ length: writes }, (_, at) => [`before ${at + 1}`, `after ${at + 1}`]).flat();
  return sample(all, most);
}

test("killed at any write while a group is replaced, the next start brings it to the image, none twice and one out of service", async () => {
  let deaths = 0;
  // Each process: stopping and stopped, starting and started; and the image at the end.
  for (const point of points(4 * COUNT + 1, 7)) {
    const at = await fresh();
    const next = addProgram(at.artifacts, "next").image;
    const done = await goesOn(at, next, point);
    if (done === null) continue;
    deaths++;
    expect([point, done.result, done.code]).toEqual([point, "succeeded", null]);
    expect(imagesIn(folder)).toEqual(Array(COUNT).fill(next));
    killAll(folder);
  }
  expect(deaths).toBeGreaterThan(4);
}, 180_000);

test("killed at any write on its way there or back, a program that does not stay is taken back all the same", async () => {
  let deaths = 0;
  // One process: stopping, stopped, starting, started; that it goes back; starting and started.
  for (const point of points(7, 5)) {
    const at = await fresh();
    const done = await goesOn(at, addProgram(at.artifacts, "bad", "/usr/bin/false").image, point);
    if (done === null) continue;
    deaths++;
    expect([point, done.result, done.code]).toEqual([point, "failed", "rolled-back"]);
    expect(imagesIn(folder)).toEqual(Array(COUNT).fill(at.first.image));
    killAll(folder);
  }
  expect(deaths).toBeGreaterThan(2);
}, 180_000);
