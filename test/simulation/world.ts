import { createHash } from "node:crypto";
import { cloudOf } from "./cloud.ts";
import { holdersOf } from "./copies.ts";
import { happen, type Stage } from "./happen.ts";
import { Crash, configText, type Machine, newMachine, type Origin, type Process } from "./machine.ts";
import { CALM, type Exchange, type Weather } from "./net.ts";
import { type Oracle, oracleOf, type Violation } from "./oracle.ts";
import { ownerOf, type People } from "./owner.ts";
import type { Plan } from "./plan.ts";
import { controlPlane, StateFailed, type VendorKeys } from "./plane.ts";
import { chance } from "./random.ts";
import { finish, helped, looked, operated, sleepUntil } from "./rest.ts";
import { drawPolicy, type FoundState, type Wanted, ZONE } from "./rules.ts";
import { copyStorage, losePower } from "./storage.ts";
import { installClock, type Pending, virtualTime } from "./time.ts";
import { vendorOf } from "./vendor.ts";

export const START = Date.UTC(2026, 10, 2, 6);

/** What all worlds of a process share. */
export type Shared = { readonly keys: VendorKeys; readonly people: People; readonly crypto: Pending };
export type Ran = {
  readonly violations: readonly Violation[];
  /** What happened, a line each: the same for the same plan. */
  readonly trace: readonly string[];
  readonly digest: string;
  readonly steps: number;
  readonly changes: number;
  /** Virtual milliseconds; and those in which the machines did not stand still. */
  readonly lasted: number;
  readonly awake: number;
};

/** Runs one plan from beginning to end, or to the first violation. */
export async function runWorld(plan: Plan, shared: Shared): Promise<Ran> {
  const draw = chance(plan.seed).fork("world");
  const trace: string[] = [];
  let oracle: Oracle | null = null;
  let stage: Stage | null = null;
  const time = virtualTime(START, shared.crypto, () => stage !== null && oracle !== null && looked(stage));
  const say = (what: string): void => {
    trace.push(`${((time.now() - START) / 1000).toFixed(3)} ${what}`);
  };
  const uninstall = installClock(() => time.now());
  const stray = (error: unknown): void => {
    if (!(error instanceof Crash || error instanceof StateFailed))
      oracle?.violate("broken", String(error instanceof Error ? error.stack : error));
  };
  const stderr = process.stderr.write;
  process.on("unhandledRejection", stray);
  // What the control plane says of its own mistakes.
  process.stderr.write = ((text: string) => {
    if (!String(text).includes("StateFailed") && !String(text).includes("not well")) stray(new Error(String(text)));
    return true;
  }) as typeof process.stderr.write;
  try {
    const opening = controlPlane(time, shared.keys);
    void opening.catch(() => undefined);
    await time.settle();
    const plane = await opening;
    const weather: Weather = { ...CALM };
    const first = drawPolicy(draw.fork("policy"), 1);
    const cloud = cloudOf(time, draw.fork("cloud"), {
      "group:brokers": "3",
      "group:workers": "1",
      [`record:${ZONE}/b0.brokers.example.com`]: '["10.20.0.1"]',
    });
    const owner = ownerOf(shared.people, first);
    const vendor = vendorOf(plane, draw.fork("vendor"));
    const watching = oracleOf({ owner, minted: vendor.minted, now: () => time.now() });
    oracle = watching;
    const holders = holdersOf({ now: () => time.now(), violate: watching.violate });
    const machines: Machine[] = [];
    const begin = (from: Origin): Machine => {
      const at = { time, plane, weather, cloud, draw, on, trace: say };
      const machine = newMachine(`m${machines.length + 1}`, from, at);
      if (made.asleep) machine.freeze();
      return machine;
    };
    const made: Stage = {
      plan,
      time,
      plane,
      weather,
      cloud,
      owner,
      vendor,
      oracle: watching,
      machines,
      hostileUntil: 0,
      hostile: draw.fork("hostile"),
      epoch: 1,
      asleep: false,
      slept: 0,
      copied: new Set(),
      clones: new Set(),
      say,
      async add() {
        const config = configText(shared.keys.pin, plan.log);
        const token = await plane.newToken(86_400);
        const machine = begin({ config, token });
        owner.settle(machine);
        machines.push(machine);
        machine.start();
        return machine;
      },
      image(of) {
        const { storage, nodes } = copyStorage(of.storage);
        losePower(storage, draw.fork(`image ${time.now()}`), time.now());
        watching.copied(nodes);
        const said = owner.said(of);
        return () => {
          const machine = begin({ holds: of.holds, storage });
          owner.copy(machine, said);
          return machine;
        };
      },
    };
    const on = {
      entered(process: Process, id: string, wanted: Wanted, found: FoundState) {
        say(`${process.machine.name}: executes ${JSON.stringify(wanted)}`);
        watching.entered(process, id, wanted, found);
      },
      recorded: (machine: Machine, path: string) => watching.recorded(machine, path),
      leaving: (process: Process, id: string, resource: string) => watching.leaving(process, id, resource),
      ended(process: Process, code: number, broke: unknown) {
        if (code !== 70) return;
        watching.violate("broken", `${process.machine.name}: ${broke instanceof Error ? broke.stack : String(broke)}`);
      },
      answered({ machine }: Process, exchange: Exchange) {
        holders.answered(machine, exchange, {
          acts: machine.holds === machines.at(-1)?.holds,
          alone: !made.copied.has(machine.holds),
        });
        return answered(made, exchange);
      },
      heard(process: Process, status: number, text: string) {
        if (status === 403 && text.includes('"fenced"')) process.fenced = true;
      },
    };
    stage = made;
    void made.add();
    await time.settle();
    await play(made);
    const lines = watching.violations.length === 0 ? await finish(made) : [];
    trace.push(...lines);
    plane.close();
    const digest = createHash("sha256").update(trace.join("\n")).digest("hex");
    const { violations, changes } = watching;
    const lasted = time.now() - START;
    return { violations, trace, digest, steps: time.steps, changes, lasted, awake: lasted - made.slept };
  } finally {
    process.stderr.write = stderr;
    process.off("unhandledRejection", stray);
    uninstall();
  }
}

async function play(stage: Stage): Promise<void> {
  const { plan, time, oracle } = stage;
  const rest = [...plan.happenings];
  const broken = (): boolean => oracle.violations.length > 0;
  for (const burst of plan.bursts) {
    await sleepUntil(stage, START + burst.from);
    await operated(stage);
    for (const machine of stage.machines) await helped(stage, machine);
    while (!broken() && rest[0] !== undefined && rest[0].at <= burst.to) {
      const next = rest.shift() as (typeof rest)[number];
      await time.run(START + next.at);
      if (broken()) return;
      happen(stage, next);
      await time.settle();
    }
    if (broken()) return;
    await time.run(START + burst.to);
    if (broken()) return;
  }
}

/** A hostile control plane adds commands of its own. */
function answered(stage: Stage, { path, status, text }: Exchange): string {
  if (path !== "/v1/commands" || status !== 200 || stage.time.now() >= stage.hostileUntil) return text;
  const answer = JSON.parse(text) as { commands: string[] };
  if (stage.hostile.odds(0.6)) answer.commands.push(stage.vendor.hostile(stage.hostile, stage.epoch));
  return JSON.stringify(answer);
}
