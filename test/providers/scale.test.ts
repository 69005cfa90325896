import { afterAll, afterEach, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { LocalConfig } from "../../agent/providerConfig/local.ts";
import type { ScaleArgs } from "../../policy/asked.ts";
import { localProvider } from "../../providers/local/local.ts";
import { endpointOf } from "../../providers/local/probe.ts";
import { processAt } from "../../providers/local/processes.ts";
import { Halted, type ScaleState } from "../../providers/provider.ts";
import { act, type Command, errand, host, recall, removeAll, scratch, see } from "./world.ts";

const root = scratch();
let worlds = 0;
/** Processes of one test carry this in their arguments. */
let mark = "";

/** Those of this test that live, by what the kernel says and not by our bookkeeping. */
function living(): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
      return words.includes(mark) && processAt(Number(name)) !== null ? [Number(name)] : [];
    } catch {
      // It ended while we looked.
      return [];
    }
  });
}
afterEach(() => {
  const sessions = new Set(living().flatMap((pid) => processAt(pid)?.session ?? []));
  for (const session of sessions) process.kill(-session, "SIGKILL");
});
afterAll(() => removeAll([root]));

type Group = LocalConfig["groups"][string];
function group(script: string, more: Partial<Group> = {}): { state: string; config: LocalConfig } {
  mark = `reeve-test-${process.pid}-${++worlds}`;
  const one: Group = {
    command: ["/bin/sh", "-c", `trap : EXIT; ${script}`, mark, "{n}"],
    health: { probe: "none" },
    ready_seconds: 0,
    stop_seconds: 1,
    ...more,
  };
  return { state: `${root}/state-${worlds}`, config: { groups: { web: one }, authorities: {}, zones: {} } };
}
function scale({ state, config }: ReturnType<typeof group>, count: number): Command<ScaleArgs, ScaleState> {
  return { action: localProvider({ host }, config, state).scale, args: { group: "web", count }, resource: "web" };
}
/** Forks once, at its start: a shell between fork and exec would be counted as one more. */
const WAIT = "sleep 300 & wait";

test("a group grows and shrinks to exactly what was asked, and the kernel agrees", async () => {
  const world = group(WAIT);
  expect(await see(scale(world, 3))).toEqual({ count: 0 });
  const grown = await act(scale(world, 3));
  expect(grown).toMatchObject({ result: "succeeded", changed: [{ what: "count", from: "0", to: "3" }] });
  expect(grown.operations.map(({ operation }) => operation.slice("local.process.".length))).toEqual([
    "list",
    "start",
    "start",
    "start",
    "probe",
    "probe",
    "probe",
    "list",
  ]);
  expect(living()).toHaveLength(3);
  expect(await act(scale(world, 1))).toMatchObject({
    result: "succeeded",
    changed: [{ what: "count", from: "3", to: "1" }],
  });
  expect(living()).toHaveLength(1);
  expect(await act(scale(world, 1))).toMatchObject({ result: "succeeded", changed: [] });
  expect(await act(scale(world, 0))).toMatchObject({ result: "succeeded" });
  expect(living()).toHaveLength(0);
}, 20_000);

test("a process leads its own session and knows nothing of the agent's environment", async () => {
  process.env["REEVE_TEST_SECRET"] = "x";
  await act(scale(group(WAIT), 1));
  const [pid = 0] = living();
  expect(processAt(pid)?.session).toBe(pid);
  const names = readFileSync(`/proc/${pid}/environ`, "utf8")
    .split("\0")
    .map((pair) => pair.split("=")[0] ?? "")
    .filter((name) => name !== "")
    .sort();
  expect(names).toEqual(["PATH", "REEVE_COMMAND", "REEVE_GROUP", "REEVE_SLOT", "REEVE_SPAWN"]);
  expect(readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").at(-2)).toBe("0");
  delete process.env["REEVE_TEST_SECRET"];
});

test("what ignores SIGTERM is killed, and so is what it left behind", async () => {
  const world = group(`trap '' TERM; ( exec /bin/sh -c '${WAIT}' ${"MARK"} ) & ${WAIT}`);
  const command = world.config.groups["web"]?.command;
  if (command !== undefined) command[2] = (command[2] ?? "").replace("MARK", mark);
  await act(scale(world, 1));
  expect(living().length).toBe(2);
  const started = performance.now();
  expect(await act(scale(world, 0))).toMatchObject({ result: "succeeded" });
  expect(performance.now() - started).toBeGreaterThan(1000);
  expect(living()).toEqual([]);
});

test("a process that died is replaced, under its number, and no other is touched", async () => {
  const world = group(WAIT);
  await act(scale(world, 3));
  const before = living();
  const [first = 0] = before;
  process.kill(-first, "SIGKILL");
  await Bun.sleep(50);
  expect(await see(scale(world, 3))).toEqual({ count: 2 });
  expect(await act(scale(world, 3))).toMatchObject({ result: "succeeded" });
  expect(living()).toHaveLength(3);
  for (const pid of before.slice(1)) expect(living()).toContain(pid);
});

test("a count that is another than the policy judged is not acted upon", async () => {
  const world = group(WAIT);
  await act(scale(world, 2));
  expect(await act(scale(world, 3), {}, errand(), { count: 1 })).toMatchObject({
    result: "failed",
    code: "concurrent",
    changed: [],
  });
  expect(living()).toHaveLength(2);
});

test("a pid that another process has now is not ours, and is not signalled", async () => {
  const world = group(WAIT);
  await act(scale(world, 1));
  const [pid = 0] = living();
  process.kill(-pid, "SIGKILL");
  const stranger = spawn("/bin/sleep", ["60"], { stdio: "ignore" });
  const [name = ""] = readdirSync(world.state);
  const text = readFileSync(`${world.state}/${name}`, "utf8");
  writeFileSync(`${world.state}/${name}`, text.replace(`"pid":${pid}`, `"pid":${stranger.pid}`));
  expect(await see(scale(world, 0))).toEqual({ count: 0 });
  expect(await act(scale(world, 0), {}, errand(), { count: 0 })).toMatchObject({ result: "succeeded", changed: [] });
  expect(processAt(stranger.pid ?? 0)).not.toBeNull();
  stranger.kill("SIGKILL");
});

test.each([
  ["ends at once", "exit 3", {}, "exited"],
  ["is not there", "", { command: ["/nowhere/program"] }, "ENOENT"],
  [
    "has a probe that is no http URL",
    WAIT,
    { health: { probe: "http", url: "ftp://x/", plus_n: false } },
    "probe-config",
  ],
] as const)("a program that %s is a failure with its code", async (_, script, more, code) => {
  const world = group(script, {
    ...more,
    ...("command" in more ? { command: [...more.command] } : {}),
  } as Partial<Group>);
  expect(await act(scale(world, 1))).toMatchObject({ result: "failed", code });
});

test("succeeded waits for the probe: an HTTP status of 200 to 299", async () => {
  let asked = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response("", { status: ++asked < 4 ? 503 : 204 }),
  });
  const world = group(WAIT, { health: { probe: "http", url: `http://127.0.0.1:${server.port}/up`, plus_n: false } });
  expect(await act(scale(world, 1))).toMatchObject({ result: "succeeded" });
  expect(asked).toBe(4);
  await server.stop(true);
});

test("a probe goes to its process's own port, and to no other kind of URL", () => {
  expect(endpointOf({ probe: "tcp", host: "::1", port: 9000, plus_n: true }, 3)).toEqual({
    host: "::1",
    port: 9003,
    path: null,
  });
  expect(endpointOf({ probe: "http", url: "http://127.0.0.1:80/a?b", plus_n: true }, 1)).toEqual({
    host: "127.0.0.1",
    port: 81,
    path: "/a?b",
  });
  expect(() => endpointOf({ probe: "tcp", host: "h", port: 65535, plus_n: true }, 1)).toThrow(RangeError);
  for (const url of ["https://h/", "http://user:word@h/", "file:///etc/passwd", "x"])
    expect(() => endpointOf({ probe: "http", url, plus_n: false }, 0)).toThrow(RangeError);
});

test("past its deadline a group that is not well has failed, and says how far it came", async () => {
  const world = group(WAIT, { health: { probe: "tcp", host: "127.0.0.1", port: 1, plus_n: true } });
  const done = await act(scale(world, 2), {}, errand(AbortSignal.timeout(400)));
  expect(done).toMatchObject({ result: "failed", code: "deadline", changed: [{ from: "0", to: "2" }] });
});

test("suspended halfway, the outcome says how far it came", async () => {
  const world = group(WAIT);
  let changes = 0;
  const beforeChange = () => {
    // Each start is looked at twice.
    if (++changes === 5) throw new Halted("suspended");
  };
  expect(await act(scale(world, 4), { beforeChange })).toMatchObject({
    result: "failed",
    code: "suspended",
    changed: [{ what: "count", from: "0", to: "2" }],
  });
  expect(living()).toHaveLength(2);
  expect(await see(scale(world, 4))).toEqual({ count: 2 });
});

test("killed with -9 at any write of its bookkeeping, the starter leaves processes that are all found again, none twice", async () => {
  // Each start writes twice: before and after the spawn. `at`: die right before or right after the n-th write.
  for (const at of ["before 1", "after 1", "before 2", "after 2", "before 3", "after 3", "before 4", "after 4"]) {
    const world = group(WAIT);
    mkdirSync(world.state, { recursive: true, mode: 0o700 });
    const child = spawn(process.execPath, [new URL("./starter.ts", import.meta.url).pathname], {
      stdio: ["ignore", "inherit", "inherit"],
      env: { PATH: process.env["PATH"], STARTER: JSON.stringify({ ...world, count: 2, at }) },
    });
    const signal = await new Promise((resolve) => child.once("exit", (_, how) => resolve(how)));
    expect([at, signal]).toEqual([at, "SIGKILL"]);
    await Bun.sleep(100);
    const left = living();
    expect([at, (await see(scale(world, 2))).count]).toEqual([at, left.length]);
    const recalled = await recall(scale(world, 2), { count: 0 });
    expect(recalled).toMatchObject(
      left.length === 2 ? { result: "succeeded" } : { result: "failed", code: "interrupted" },
    );
    expect(await act(scale(world, 2))).toMatchObject({ result: "succeeded" });
    expect([at, living().length]).toEqual([at, 2]);
    for (const pid of left) expect(living()).toContain(pid);
    await act(scale(world, 0));
    expect([at, living()]).toEqual([at, []]);
  }
}, 180_000);

test.if(process.getuid?.() === 0)(
  "processes run under the user that the config names, without other groups and privileges to come",
  async () => {
    await act(scale(group(WAIT, { user: "65534:65533" }), 1));
    const [pid = 0] = living();
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
    expect(status).toMatch(/^Gid:\t65533\t65533\t65533\t65533$/m);
    expect(status).toMatch(/^Groups:\s*$/m);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  },
);

test("where the config names no user the outcome says so", async () => {
  const done = await act(scale(group(WAIT), 1));
  expect(done.words).toContain("agent's own user");
});

test("a process started for a group names it: an agent in it would know", async () => {
  const { groupsOf } = await import("../../providers/local/scale.ts");
  expect(groupsOf({ REEVE_GROUP: "web" })).toEqual(["web"]);
  expect(groupsOf({})).toEqual([]);
});
