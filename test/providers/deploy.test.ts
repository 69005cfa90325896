import { afterAll, afterEach, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { ScaleArgs } from "../../policy/asked.ts";
import { localProvider } from "../../providers/local/local.ts";
import { type DeployState, Halted, type JudgedDeployArgs, type ScaleState } from "../../providers/provider.ts";
import { until } from "./counterpart.ts";
import { addProgram, imagesIn, killAll, livingIn, type Premises, premises } from "./programs.ts";
import { act, type Command, errand, gateFor, host, recall, removeAll, scratch, see } from "./world.ts";

const root = scratch();
let folder = root;
afterEach(() => killAll(folder));
afterAll(() => removeAll([root]));

function fresh(more: Parameters<typeof premises>[1] = {}): Premises {
  folder = mkdtempSync(join(root, "one-"));
  return premises(folder, more);
}
function provider({ config, state, artifacts }: Premises, on = host) {
  return localProvider({ host: on }, config, state, artifacts);
}
function deployTo(at: Premises, image: string, group = "web", on = host): Command<JudgedDeployArgs, DeployState> {
  const action = provider(at, on).deploy;
  if (action === undefined) throw new Error("the local provider deploys");
  const manifest = `sha256:${"0".repeat(64)}`;
  return { action, args: { group, manifest, image, digest: image }, resource: "web" };
}
async function scaled(at: Premises, count: number): Promise<void> {
  const command: Command<ScaleArgs, ScaleState> = {
    action: provider(at).scale,
    args: { group: "web", count },
    resource: "web",
  };
  expect(await act(command)).toMatchObject({ result: "succeeded" });
}

test("every process runs the new program afterwards, by the kernel's word, and as many as before", async () => {
  const at = fresh();
  await scaled(at, 3);
  const next = addProgram(at.artifacts, "next");
  expect(await see(deployTo(at, next.image))).toEqual({ image: at.first.image, count: 3, healthy: 3 });
  const done = await act(deployTo(at, next.image));
  expect(done).toMatchObject({ result: "succeeded", code: null });
  expect(done.changed).toEqual([{ what: "web image", from: at.first.image, to: next.image }]);
  expect(imagesIn(folder)).toEqual([next.image, next.image, next.image]);
  expect(await see(deployTo(at, next.image))).toEqual({ image: next.image, count: 3, healthy: 3 });
});

test("no more than `unavailable` are out of service at any moment", async () => {
  const at = fresh();
  await scaled(at, 4);
  const next = addProgram(at.artifacts, "next");
  for (const unavailable of [1, 2]) {
    const to = unavailable === 1 ? next : addProgram(at.artifacts, "another");
    const { result, operations } = await act(deployTo(at, to.image), {}, { ...errand(), unavailable });
    expect(result).toBe("succeeded");
    // Processes stopped since all were last asked whether they are well: so many are out of service.
    let out = 0;
    const most = operations.map(({ operation }) => {
      if (operation === "local.process.probe") out = 0;
      if (operation === "local.process.stop") out++;
      return out;
    });
    expect(Math.max(...most)).toBe(unavailable);
    expect(imagesIn(folder)).toEqual(Array(4).fill(to.image));
  }
});

/** Each look at the group comes so late that what ends by itself has ended: on a machine with much else to do. */
const LATE = {
  ...host,
  clock: {
    ...host.clock,
    monotonic: () => {
      Bun.sleepSync(150);
      return host.clock.monotonic();
    },
  },
};

test.each([
  ["", host],
  [", however late it is looked at,", LATE],
] as const)(
  "a program that does not stay is taken back%s and what was there runs",
  async (_, on) => {
    const at = fresh({ ready_seconds: 2 });
    await scaled(at, 3);
    const bad = addProgram(at.artifacts, "bad", "/usr/bin/false");
    const done = await act(deployTo(at, bad.image, "web", on));
    expect(done).toMatchObject({ result: "failed", code: "rolled-back", changed: [] });
    expect(done.words).toContain("exited");
    expect(imagesIn(folder)).toEqual(Array(3).fill(at.first.image));
    // It was stopped at the first: one that was there before was touched, and no other.
    const starts = done.operations.filter(({ operation }) => operation === "local.process.start").length;
    expect(starts).toBe(2);
  },
  60_000,
);

test("after a deploy new processes run what was deployed, also for another provider of the same state, and back after a bad one", async () => {
  const at = fresh();
  await scaled(at, 1);
  const next = addProgram(at.artifacts, "next");
  const bad = addProgram(at.artifacts, "bad", "/usr/bin/false");
  expect(await act(deployTo(at, next.image))).toMatchObject({ result: "succeeded" });
  await scaled(at, 3);
  expect(imagesIn(folder)).toEqual(Array(3).fill(next.image));
  expect(await act(deployTo(at, bad.image))).toMatchObject({ result: "failed", code: "rolled-back" });
  expect(imagesIn(folder)).toEqual(Array(3).fill(next.image));
});

test("a group whose count is another than the policy judged is left alone", async () => {
  const at = fresh();
  await scaled(at, 3);
  const [victim] = livingIn(folder);
  const command = deployTo(at, addProgram(at.artifacts, "next").image);
  const found = await see(command);
  process.kill(victim?.pid ?? 0, "SIGKILL");
  await until("it is gone", () => livingIn(folder).length === 2);
  expect(await act(command, {}, errand(), found)).toMatchObject({ result: "failed", code: "concurrent", changed: [] });
  expect(imagesIn(folder)).toEqual(Array(2).fill(at.first.image));
});

test("suspended in the middle it stops before the next change, and says what runs", async () => {
  const at = fresh();
  await scaled(at, 3);
  const next = addProgram(at.artifacts, "next");
  let changes = 0;
  const beforeChange = () => {
    // Each change is looked at twice: the first process was stopped and started.
    if (++changes > 4) throw new Halted("suspended");
  };
  const done = await act(deployTo(at, next.image), { beforeChange });
  expect(done).toMatchObject({ result: "failed", code: "suspended" });
  expect(done.changed[0]?.to).toContain(`1 of ${next.image}`);
  expect(imagesIn(folder).sort()).toEqual([at.first.image, at.first.image, next.image].sort());
  expect(await recall(deployTo(at, next.image), { image: at.first.image, count: 3, healthy: 3 })).toMatchObject({
    result: "failed",
    code: "interrupted",
    known_by: "state",
  });
});

test("an image is refused before anything is touched when it is missing, another, writable by others, linked, or no program", async () => {
  const at = fresh();
  await scaled(at, 1);
  const next = addProgram(at.artifacts, "next");
  const of = async (image = next.image, artifacts: Premises["artifacts"] | null = at.artifacts) => {
    const action = localProvider({ host }, at.config, at.state, artifacts).deploy;
    const { args } = deployTo(at, image);
    if (action === undefined) throw new Error("the local provider deploys");
    const seen = await action.describe(gateFor(action, args, "web", { phase: "read" }).gate, args, errand());
    return "artifact" in seen ? seen.artifact : seen;
  };
  expect(await of()).toHaveProperty("state");
  expect(await of(`sha256:${"1".repeat(64)}`)).toBe("missing");
  expect(await of("ami-0123456789abcdef0")).toBe("malformed");
  expect(await of(next.image, null)).toBe("missing");
  chmodSync(next.path, 0o775);
  expect(await of()).toBe("missing");
  chmodSync(next.path, 0o644);
  expect(await of()).toBe("malformed");
  chmodSync(next.path, 0o755);
  linkSync(next.path, join(folder, "second-name"));
  expect(await of()).toBe("missing");
  unlinkSync(join(folder, "second-name"));
  chmodSync(at.artifacts.directory, 0o777);
  expect(await of()).toBe("missing");
  chmodSync(at.artifacts.directory, 0o755);
  expect(await of()).toHaveProperty("state");
  appendFileSync(next.path, "x");
  expect(await of()).toBe("digest");
  renameSync(next.path, join(folder, "moved"));
  symlinkSync(join(folder, "moved"), next.path);
  expect(await of()).toBe("missing");
  const script = join(folder, "script");
  writeFileSync(script, "#!/bin/sh\nexec sleep 600\n");
  expect(await of(addProgram(at.artifacts, "", script).image)).toBe("malformed");
  expect(imagesIn(folder)).toEqual([at.first.image]);
});

test("a program that is swapped after it was judged does not run", async () => {
  const at = fresh();
  await scaled(at, 2);
  const next = addProgram(at.artifacts, "next");
  const command = deployTo(at, next.image);
  const found = await see(command);
  rmSync(next.path);
  copyFileSync("/usr/bin/sleep", next.path);
  appendFileSync(next.path, "swapped");
  chmodSync(next.path, 0o755);
  const done = await act(command, {}, errand(), found);
  expect(done).toMatchObject({ result: "failed", code: "rolled-back", changed: [] });
  expect(done.words).toContain("artifact-digest");
  expect(imagesIn(folder)).toEqual(Array(2).fill(at.first.image));
});

test("one that is no program any more when it is started is taken back: a folder that nothing may be executed from is no start", async () => {
  const at = fresh({ user: "65534:65534" });
  await scaled(at, 1);
  // For this processor no program: the kernel refuses it.
  const alien = join(folder, "alien");
  writeFileSync(alien, Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]), Buffer.alloc(200)]));
  const bad = addProgram(at.artifacts, "", alien);
  expect(await act(deployTo(at, bad.image))).toMatchObject({ result: "failed", code: "rolled-back", changed: [] });
  expect(imagesIn(folder)).toEqual([at.first.image]);
});

test("an empty group is taken to an image: what is started afterwards runs it", async () => {
  const at = fresh();
  const next = addProgram(at.artifacts, "next");
  expect(await see(deployTo(at, next.image))).toEqual({ image: null, count: 0, healthy: 0 });
  expect(await act(deployTo(at, next.image))).toMatchObject({ result: "succeeded" });
  await scaled(at, 2);
  expect(imagesIn(folder)).toEqual([next.image, next.image]);
});

/** Users with the agent's rights or root's; uid 4294967295 is to the kernel no change of the user at all. */
const uid = process.geteuid?.() ?? 0;
const SAME: readonly (string | undefined)[] = [
  undefined,
  `${uid}:65534`,
  `${uid}:${process.getegid?.() ?? 0}`,
  "0:65534",
  "00:1",
  "4294967295:1",
];

test.each([...new Set(SAME)].map((user) => [user ?? "none"]))(
  "the vendor's program does not run under the agent's user or as root (user %s), unless the config says so: nothing is touched",
  async (text) => {
    const user = text === "none" ? {} : { user: text };
    const open = fresh();
    await scaled(open, 2);
    const found = { image: open.first.image, count: 2, healthy: 2 };
    const group = { ...open.config.groups["web"], ...user, deploy_as_agent: undefined };
    const at = { ...open, config: { ...open.config, groups: { web: group as Premises["config"]["groups"][string] } } };
    const next = addProgram(at.artifacts, "next");
    const { action, args } = deployTo(at, next.image);
    const seen = await action.describe(gateFor(action, args, "web", { phase: "read" }).gate, args, errand());
    expect(seen).toEqual({
      unreadable: expect.stringMatching(/^same-user: local\.groups\.web\.user .*deploy_as_agent/),
    });
    const done = await act(deployTo(at, next.image), {}, errand(), found);
    expect(done).toMatchObject({ result: "failed", code: "same-user", changed: [], operations: [] });
    const resumed = await action.resume?.(gateFor(action, args, "web").gate, args, found, {
      ...errand(),
      unavailable: 1,
    });
    expect(resumed).toMatchObject({ result: "failed", code: "same-user", changed: [] });
    expect(imagesIn(folder)).toEqual(Array(2).fill(at.first.image));
  },
);

test("what was deployed before the config named its own user no more is not started by a scale either", async () => {
  const open = fresh();
  await scaled(open, 1);
  const next = addProgram(open.artifacts, "next");
  const done = await act(deployTo(open, next.image));
  expect(done).toMatchObject({ result: "succeeded" });
  expect(done.words).toContain("agent's own user");
  const group = { ...open.config.groups["web"], deploy_as_agent: undefined };
  const at = { ...open, config: { ...open.config, groups: { web: group as Premises["config"]["groups"][string] } } };
  const command: Command<ScaleArgs, ScaleState> = {
    action: provider(at).scale,
    args: { group: "web", count: 3 },
    resource: "web",
  };
  expect(await act(command)).toMatchObject({ result: "failed", code: "same-user", changed: [] });
  expect(imagesIn(folder)).toEqual([next.image]);
});

test.if(uid === 0)("under a user of its own the vendor's program runs, and nothing has to be said of it", async () => {
  const at = fresh({ user: "65534:65534", deploy_as_agent: undefined });
  await scaled(at, 1);
  const next = addProgram(at.artifacts, "next");
  const done = await act(deployTo(at, next.image));
  expect([done.result, done.words]).toEqual(["succeeded", null]);
  const [one] = livingIn(folder);
  expect(readFileSync(`/proc/${one?.pid}/status`, "utf8")).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
  expect(imagesIn(folder)).toEqual([next.image]);
});
