import { afterEach, expect, test } from "bun:test";
import type { ChildProcess } from "node:child_process";
import { type Machine, send, type World, world } from "../e2e/world.ts";

/** The control plane's half of the end of fencing, through the compiled executables. */
let w: World;
afterEach(async () => {
  await w?.end();
}, 60_000);

const ready = (one: Machine) => w.until("the agent says ready", () => one.reeve(["status"], "--json").code === 0);
const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode);
    else child.once("exit", (code) => resolve(code));
  });
const scale = (count: number, ...args: string[]) =>
  send(w, "scale", "--group", "brokers", "--count", `${count}`, ...args);
type Fleet = { clusters: { epoch: number; alarms: { id: string; kind: string; words: string }[] }[] };
const fleet = (): Fleet["clusters"][0] | undefined =>
  (JSON.parse(w.vendor("fleet", "--json").stdout) as Fleet).clusters[0];
const unfence = (epoch: string, ...args: string[]) =>
  w.vendor("unfence", "--cluster", "prod-eu-1", "--epoch", epoch, ...args);

test("a machine that was enrolled with a stolen token is fenced, and the one before acts again by the operator's word", async () => {
  w = await world();
  const agent = w.startAgent();
  await ready(w);
  expect(scale(1).code).toBe(0);
  agent.kill("SIGTERM");
  expect(await ended(agent)).toBe(0);
  const thief = w.newMachine("thief", w.newToken());
  const stolen = thief.startAgent();
  await ready(thief);
  expect(fleet()?.epoch).toBe(2);
  // One command is in the thief's hands, undecided, and one waits for it.
  stolen.kill("SIGSTOP");
  const waiting = w.vendor(
    "send",
    "--keys",
    w.keys,
    "--cluster",
    "prod-eu-1",
    "scale",
    "--group",
    "brokers",
    "--count",
    "2",
  );
  expect(waiting.code).toBe(0);

  for (const [epoch, because] of [
    ["2", "it acts already"],
    ["3", "there never was such an epoch"],
  ] as const) {
    const refused = unfence(epoch);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining(because)]);
  }
  expect(unfence("0").code).toBe(2);
  const done = unfence("1", "--by", "maria", "--why", "token stolen", "--json");
  expect([done.code, JSON.parse(done.stdout)]).toEqual([0, { cluster: "prod-eu-1", epoch: 1, fenced: 2 }]);
  const commands = JSON.parse(w.vendor("fleet commands", "--cluster", "prod-eu-1", "--json").stdout).commands;
  const fate = commands.find((one: { command: string }) => one.command === waiting.stdout.trim());
  expect([["unknown", "expired"].includes(fate.state), fate.code]).toEqual([true, "epoch"]);

  w.startAgent();
  await ready(w);
  expect(scale(2).code).toBe(0);
  expect(w.pids().length).toBe(2);
  stolen.kill("SIGCONT");
  expect(await ended(stolen)).toBe(6);
  expect(thief.entries().some((entry) => entry["kind"] === "intent")).toBe(false);
  expect(
    w
      .entries()
      .filter((entry) => entry["kind"] === "intent")
      .every((entry) => entry["epoch"] === 1),
  ).toBe(true);
  expect(scale(1).code).toBe(0);

  const next = w.newMachine("next", w.newToken());
  next.startAgent();
  await ready(next);
  expect(fleet()?.epoch).toBe(3);
  await w.until("the first machine is fenced", () => w.entries().at(-1)?.["why"] === "fenced");
}, 120_000);

test("alarms stand until an operator clears them by name, and are kept with who and why", async () => {
  w = await world();
  w.startAgent();
  await ready(w);
  const second = w.newMachine("second", w.newToken());
  second.startAgent();
  await ready(second);
  await w.until("the fenced one was heard", () => (fleet()?.alarms.length ?? 0) > 0);
  const [alarm] = fleet()?.alarms ?? [];
  expect(alarm?.kind).toBe("fenced-agent");
  const shown = w.vendor("fleet alarms").stdout;
  expect(shown).toContain(`alarm ${alarm?.id}: prod-eu-1: an agent of epoch 1 still speaks`);
  const wrong = w.vendor("fleet alarms", "--clear", "0123");
  expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("no alarm of this name stands")]);
  expect(w.vendor("fleet alarms", "--clear", `${alarm?.id}`, "--why", "a\u001b[2J").code).toBe(2);
  const cleared = w.vendor(
    "fleet alarms",
    "--clear",
    `${alarm?.id}`,
    "--by",
    "bob",
    "--why",
    "the old machine, on its way out",
  );
  expect([cleared.stderr, cleared.code]).toEqual(["", 0]);
  expect(fleet()?.alarms).toEqual([]);
  expect(w.vendor("fleet alarms").stdout).toBe("no alarm stands\n");
  expect(w.vendor("fleet alarms", "--cleared").stdout).toMatch(
    new RegExp(`^alarm ${alarm?.id}: [^\\n]+\\n  cleared 20[0-9TZ:.-]+ by bob: the old machine, on its way out\\n$`),
  );
  const json = JSON.parse(w.vendor("fleet alarms", "--cleared", "--json").stdout).cleared;
  expect(json).toEqual([expect.objectContaining({ id: alarm?.id, cleared_by: "bob", kind: "fenced-agent" })]);
}, 120_000);
