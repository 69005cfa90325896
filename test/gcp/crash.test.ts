/**
 * kill -9 of the compiled agent while a call of a command is on its way: Google has done it or has not, and nobody hears which. After a restart each
 * intent has one outcome that says by what it knows; one certificate at most is issued, and the group and the record are what the outcome says.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { Shown } from "../aws/stage.ts";
import { type Stage, stage } from "./stage.ts";
import type { Made } from "./world/made.ts";

let s: Stage;
beforeAll(async () => {
  s = await stage();
}, 600_000);
afterAll(() => s?.end(), 60_000);

type Try = {
  /** Sends the command and does not wait. */
  send(): Promise<{ readonly command: string }>;
  /** What is the case in the cloud, in one word. */
  look(): "before" | "after";
  /** Puts the cloud back by someone else's hand. */
  reset(): void;
  /** Where its outcome knows it from, once it was done. */
  readonly by: "token" | "state";
  /** Each call after the intent that is tried: the one that changes, and one that waits for what is true. */
  readonly change: string;
  readonly waits: string | null;
};

let issued = 0;
const TRIES: Readonly<Record<string, () => Try>> = {
  scale: () => ({
    send: () => s.scale(4, false),
    look: () => (s.cloud.look.group().target === 4 ? "after" : "before"),
    reset: () => s.cloud.groups.set(s.cloud.group, 2),
    by: "token",
    change: "compute.instanceGroupManagers.resize",
    waits: "compute.zoneOperations.get",
  }),
  certificate: () => ({
    send: () => s.certificate(false),
    look() {
      const more = s.cloud.look.issued() - issued;
      expect(more).toBeLessThanOrEqual(1);
      return more === 1 ? "after" : "before";
    },
    reset() {
      issued = s.cloud.look.issued();
    },
    by: "token",
    change: "privateca.projects.locations.caPools.certificates.create",
    waits: null,
  }),
  record: () => ({
    send: () => s.record("replace", "10.20.0.2", false),
    look: () => (s.cloud.look.record(s.recordName, "A")?.rrdatas?.[0] === "10.20.0.2" ? "after" : "before"),
    reset: () => s.cloud.zones.put(s.cloud.zone, s.recordName, "A", { ttl: 60, rrdatas: ["10.20.0.1"] }),
    by: "state",
    change: "dns.changes.create",
    waits: "dns.changes.get",
  }),
};

const entriesOf = (command: string, kind: string): readonly Shown[] =>
  s.entries().filter((entry) => entry.command === command && entry.kind === kind);
const isDecided = (command: string): boolean =>
  ["outcome", "refused"].some((kind) => entriesOf(command, kind).length > 0);

/** Kills the agent while this call is at Google, before or after its effect; its answer is lost either way. Returns the command's id. */
async function killedAt(one: Try, operation: string, moment: "before" | "after"): Promise<string> {
  one.reset();
  let died = false;
  s.cloud.at(operation, moment, async (_: Made) => {
    await s.kill();
    died = true;
  });
  const rule = s.cloud.fault(operation, { kind: "drop", when: moment });
  const { command } = await one.send();
  await s.until(`it dies ${moment} ${operation}`, () => died);
  expect([operation, rule.hits]).toEqual([operation, 1]);
  return command;
}

test.each(["scale", "certificate", "record"])(
  "%s: killed at its change and while it waits, with the answer lost",
  async (name) => {
    const one = TRIES[name]?.();
    if (one === undefined) throw new Error(name);
    const points = [
      [one.change, "before"],
      [one.change, "after"],
      ...(one.waits === null ? [] : [[one.waits, "after"] as const]),
    ] as const;
    for (const [operation, moment] of points) {
      const command = await killedAt(one, operation, moment);
      expect([entriesOf(command, "intent").length, entriesOf(command, "outcome").length]).toEqual([1, 0]);
      const looked = one.look();
      const changesBefore = s.cloud.calls.filter(({ changed }) => changed).length;
      await s.start();
      await s.until("its intent has an outcome", () => isDecided(command));
      const [outcome, ...more] = entriesOf(command, "outcome");
      expect([entriesOf(command, "intent").length, more.length]).toEqual([1, 0]);
      // A certificate that was issued and not delivered is on record, and not where it is waited for.
      const done = name === "certificate" ? ["failed", "not-delivered"] : ["succeeded", null];
      const wanted = looked === "after" ? [...done, one.by] : ["failed", outcome?.code, outcome?.known_by];
      expect([outcome?.result, outcome?.code, outcome?.known_by]).toEqual(wanted as never);
      if (looked === "before") expect(outcome?.changed).toEqual([]);
      expect([outcome?.certificate != null, name === "certificate" && looked === "after"]).toEqual(
        Array(2).fill(name === "certificate" && looked === "after"),
      );
      // Finding out changed nothing.
      expect([one.look(), s.cloud.calls.filter(({ changed }) => changed).length]).toEqual([looked, changesBefore]);
      console.log(
        `      ${moment.padEnd(6)} ${operation.split(".").slice(-2).join(".").padEnd(30)} the cloud ${looked.padEnd(6)}  ${outcome?.result} ${outcome?.code ?? ""} by ${outcome?.known_by}`,
      );
    }
  },
  300_000,
);

test("afterwards the log is whole, and Cloud Audit Logs hold the same calls", async () => {
  expect((await s.reeve("audit", "verify", "--ca", s.machine.root)).code).toBe(11);
  const folder = join(s.machine.folder, "trail");
  s.cloud.trail(folder);
  const done = await s.reeve("audit", "reconcile", "--gcp", folder);
  expect([done.code, done.stdout.trim().split("\n").at(-1)]).toEqual([0, "verdict    0 unexplained, 0 missing"]);
  expect(s.cloud.problems).toEqual([]);
}, 120_000);
