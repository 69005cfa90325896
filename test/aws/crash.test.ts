/**
 * kill -9 of the compiled agent while a call of a command is on its way, at each call in turn: AWS has done it or has not, and nobody hears
 * which. After a restart each intent has one outcome that says by what it knows; at most one certificate is issued, and the group and the
 * record are what the outcome says.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type Shown, type Stage, stage } from "./stage.ts";
import type { Made } from "./world/made.ts";
import { type Moto, startMoto } from "./world/moto.ts";

let moto: Moto;
let s: Stage;
beforeAll(async () => {
  moto = await startMoto();
  s = await stage(moto);
}, 600_000);
afterAll(async () => {
  await s?.end();
  await moto?.stop();
}, 60_000);

type Sent = { readonly command: string };
type Try = {
  /** Sends the command and does not wait. */
  send(): Promise<Sent>;
  /** What is the case in the cloud, in one word. */
  look(): Promise<"before" | "after">;
  /** Puts the cloud back by someone else's hand. */
  reset(): Promise<void>;
};

const RECORD = (value: string) => ({ Name: s.recordName, Type: "A", TTL: 60, ResourceRecords: [{ Value: value }] });
let issued = 0;
const TRIES: Readonly<Record<string, () => Try>> = {
  scale: () => ({
    send: () => s.scale(4, false),
    async look() {
      const { desired, inService } = await s.cloud.look.group();
      expect([2, 4]).toContain(desired);
      expect(inService).toBe(desired);
      return desired === 4 ? "after" : "before";
    },
    reset: () => s.cloud.others.scale(2),
  }),
  certificate: () => ({
    send: () => s.certificate(false),
    async look() {
      const more = s.cloud.look.issued() - issued;
      expect(more).toBeLessThanOrEqual(1);
      return more === 1 ? "after" : "before";
    },
    async reset() {
      issued = s.cloud.look.issued();
    },
  }),
  record: () => ({
    send: () => s.record("replace", "10.20.0.2", false),
    async look() {
      const found = await s.cloud.look.record(s.recordName, "A");
      const [value] = (found?.["ResourceRecords"] ?? []) as { Value: string }[];
      expect(["10.20.0.1", "10.20.0.2"]).toContain(value?.Value ?? "none");
      return value?.Value === "10.20.0.2" ? "after" : "before";
    },
    reset: () => s.cloud.others.changeRecords({ Action: "UPSERT", ResourceRecordSet: RECORD("10.20.0.1") }),
  }),
};

const entriesOf = (command: string, kind: string): readonly Shown[] =>
  s.entries().filter((entry) => entry.command === command && entry.kind === kind);
const isDecided = (command: string): boolean =>
  ["outcome", "refused"].some((kind) => entriesOf(command, kind).length > 0);

/** Its calls after the intent, as it makes them when it is left alone: each operation with how many of the same came before. */
async function pointsOf(
  one: Try,
): Promise<readonly { readonly operation: string; readonly nth: number; readonly changes: boolean }[]> {
  await one.reset();
  const before = s.cloud.calls.length;
  const { command } = await one.send();
  await s.machine.until("the command is decided", () => isDecided(command), 60);
  const made = s.cloud.calls.slice(before).filter(({ operation }) => operation !== "GetCallerIdentity");
  const outcome = entriesOf(command, "outcome")[0];
  expect([outcome?.result, await one.look()]).toEqual(["succeeded", "after"]);
  const ids = new Set((outcome?.operations ?? []).map(({ request }) => request));
  return made.flatMap(({ operation, id, changed }, at) => {
    if (!ids.has(id)) return [];
    const nth = made.slice(0, at).filter((other) => other.operation === operation).length;
    return [{ operation, nth, changes: changed }];
  });
}

type Point = Awaited<ReturnType<typeof pointsOf>>[number];

/** Kills the agent while this call is at AWS, before or after its effect; its answer is lost either way. Returns the command's id. */
async function killedAt(one: Try, { operation, nth }: Point, moment: "before" | "after"): Promise<string> {
  await one.reset();
  await s.start();
  let came = 0;
  let died = false;
  const strike = async (_: Made): Promise<void> => {
    if (came++ < nth) {
      s.cloud.at(operation, moment, strike);
      return;
    }
    await s.kill();
    died = true;
  };
  s.cloud.at(operation, moment, strike);
  const rule = s.cloud.fault(operation, { kind: "drop", when: moment }, { skip: nth });
  const { command } = await one.send();
  await s.machine.until(`it dies ${moment} ${operation} ${nth}`, () => died || isDecided(command), 60);
  expect([operation, nth, died, rule.hits]).toEqual([operation, nth, true, 1]);
  return command;
}

/** What the outcome must say of what is the case. */
function holds(name: string, outcome: Shown | undefined, looked: "before" | "after"): void {
  const said = [outcome?.result, outcome?.known_by];
  if (name === "certificate") expect(said).toEqual(["unknown", "nothing"]);
  else if (looked === "after") expect(said).toEqual(["succeeded", "state"]);
  else expect([...said, outcome?.changed]).toEqual(["failed", "state", []]);
}

test.each(["scale", "certificate", "record"])(
  "%s: killed at each of its calls, with the answer lost",
  async (name) => {
    const one = TRIES[name]?.();
    if (one === undefined) throw new Error(name);
    if (name === "record")
      await s.cloud.others.changeRecords({ Action: "UPSERT", ResourceRecordSet: RECORD("10.20.0.1") });
    const points = await pointsOf(one);
    expect(points.filter(({ changes }) => changes)).toHaveLength(1);
    await s.kill();
    const table: string[] = [];
    for (const point of points) {
      for (const moment of point.changes ? (["before", "after"] as const) : (["after"] as const)) {
        const command = await killedAt(one, point, moment);
        expect([entriesOf(command, "intent").length, entriesOf(command, "outcome").length]).toEqual([1, 0]);
        const looked = await one.look();
        const changesBefore = s.cloud.calls.filter(({ changed }) => changed).length;
        await s.start();
        await s.machine.until("its intent has an outcome", () => isDecided(command), 60);
        const outcomes = entriesOf(command, "outcome");
        expect([entriesOf(command, "intent").length, outcomes.length]).toEqual([1, 1]);
        holds(name, outcomes[0], looked);
        // Finding out changed nothing.
        expect([await one.look(), s.cloud.calls.filter(({ changed }) => changed).length]).toEqual([
          looked,
          changesBefore,
        ]);
        table.push(
          `${moment.padEnd(6)} ${`${point.operation} ${point.nth + 1}`.padEnd(30)} the cloud ${looked.padEnd(6)}  ${outcomes[0]?.result} ${outcomes[0]?.code ?? ""} by ${outcomes[0]?.known_by}`,
        );
        await s.kill();
      }
    }
    console.log(table.map((line) => `      ${line}`).join("\n"));
    expect(table.length).toBeGreaterThan(3);
    await s.start();
  },
  600_000,
);

test("afterwards the log is whole, and CloudTrail's files hold the same calls", async () => {
  expect(s.machine.reeve(["audit", "verify"], "--ca", s.machine.root).code).toBe(11);
  const folder = join(s.machine.folder, "trail");
  s.cloud.trail(folder);
  const done = s.machine.reeve(["audit", "reconcile"], "--cloudtrail", folder);
  expect([done.code, done.stdout.trim().split("\n").at(-1)]).toEqual([0, "verdict    0 unexplained, 0 missing"]);
  expect(s.cloud.problems).toEqual([]);
});
