import type { Cloud } from "./cloud.ts";
import { entriesOf } from "./entries.ts";
import type { Machine } from "./machine.ts";
import { CALM, type Weather } from "./net.ts";
import type { Oracle } from "./oracle.ts";
import type { Owner } from "./owner.ts";
import type { Happening, Kind, Plan } from "./plan.ts";
import type { ControlPlane } from "./plane.ts";
import { type Chance, chance } from "./random.ts";
import { ZONE } from "./rules.ts";
import type { Time } from "./time.ts";
import { drawWanted, type Vendor } from "./vendor.ts";

/** More than CALL_MAX_MS. */
const RESTORED_MS = 6000;

/** A world under way. */
export type Stage = {
  readonly plan: Plan;
  readonly time: Time;
  readonly plane: ControlPlane;
  readonly weather: Weather;
  readonly cloud: Cloud;
  readonly owner: Owner;
  readonly vendor: Vendor;
  readonly oracle: Oracle;
  /** In the order in which they came: the newest is the one that should act. */
  readonly machines: Machine[];
  /** Until then the control plane adds commands of its own to its answers. */
  hostileUntil: number;
  readonly hostile: Chance;
  epoch: number;
  /** Machines hold still between bursts. */
  asleep: boolean;
  /** Milliseconds in which they did. */
  slept: number;
  /** Names of the machines whose disk was copied. */
  readonly copied: Set<string>;
  /** Those that run beside the machine whose disk they have. */
  readonly clones: Set<Machine>;
  say(what: string): void;
  /** A machine of the group of one, with a join token of its own. */
  add(): Promise<Machine>;
  /** A machine whose disk is an image of this one's at this moment, as it comes to run later. */
  image(machine: Machine): () => Machine;
};

/** Makes one thing of the plan happen now. What lasts ends by itself. */
export function happen(stage: Stage, { kind, seed }: Happening): void {
  stage.say(`happens: ${kind}`);
  const machine = stage.machines.at(-1);
  if (machine !== undefined) ACTS[kind](stage, machine, chance(seed));
}

type Act = (stage: Stage, machine: Machine, draw: Chance) => void;
const ACTS: Readonly<Record<Kind, Act>> = {
  send({ vendor, cloud }, _machine, draw) {
    const lifetime = draw.pick([30, 120, 600, 3600, 86_400]);
    void vendor.send(drawWanted(draw, Number(cloud.now("group:brokers"))), lifetime, draw.odds(0.1));
  },
  cancel: ({ vendor }, _machine, draw) => void vendor.cancel(draw),
  replay: ({ vendor }, _machine, draw) => void vendor.replay(draw),
  hostile(stage, _machine, draw) {
    stage.hostileUntil = stage.time.now() + draw.int(10, 90) * 1000;
  },
  "switch-off"({ owner, time }, machine, draw) {
    owner.turn(machine, false);
    time.after(draw.int(2, 60) * 1000, () => owner.turn(machine, true));
  },
  "switch-on": ({ owner }, machine) => {
    if (!owner.of(machine).on) owner.turn(machine, true);
  },
  policy({ owner, time }, machine, draw) {
    owner.edit(machine, draw);
    // A slip is seen, and mended.
    time.after(draw.int(5, 60) * 1000, () => owner.mend(machine));
  },
  approve({ owner, vendor }, machine, draw) {
    const entries = entriesOf(machine, false);
    const ended = new Set(
      entries.flatMap((one) => (one.kind === "intent" || one.kind === "refused" ? [one.command] : [])),
    );
    const waiting = entries.flatMap((one) => (one.kind === "waiting" && !ended.has(one.command) ? [one] : []));
    if (waiting.length === 0) return;
    const one = draw.pick(waiting.slice(-3));
    owner.approve(machine, { id: one.command, digest: one.digest }, [...vendor.minted.keys()], draw);
  },
  weather(stage, _machine, draw) {
    const { weather } = stage;
    weather.loss = draw.pick([0, 0.05, 0.3]);
    weather.twice = draw.pick([0, 0.1, 0.3]);
    weather.delay = draw.pick([40, 3000, 15_000]);
    stage.time.after(draw.int(10, 120) * 1000, () => Object.assign(weather, { ...CALM, planeDown: weather.planeDown }));
  },
  cut({ time }, machine, draw) {
    machine.cut = true;
    time.after(draw.int(1, 90) * 1000, () => {
      machine.cut = false;
    });
  },
  "plane-down"({ weather, plane, time }, _machine, draw) {
    weather.planeDown = true;
    time.after(draw.int(1, 60) * 1000, () => {
      plane.restart();
      weather.planeDown = false;
    });
  },
  "plane-restart": ({ plane }) => plane.restart(),
  "state-fails": ({ plane }, _machine, draw) => plane.failIn(draw.int(0, 60)),
  kill: (_stage, machine) => machine.kill(),
  power: (_stage, machine) => machine.losePower(),
  "disk-fault"(_stage, machine, draw) {
    const at = draw.pick(["any", "any", "write", "sync", "sync", "rename", "folder"] as const);
    // EIO where the disk would say it: of a rename or a folder it is as good as never heard.
    const how = draw.pick(
      at === "write" || at === "sync" ? (["kill", "power", "EIO"] as const) : (["kill", "power"] as const),
    );
    machine.faults.push({ at, how, steps: draw.int(0, 12) });
  },
  "disk-full"({ time }, machine, draw) {
    machine.storage.free = draw.int(0, 3) * 1500;
    time.after(draw.int(10, 120) * 1000, () => {
      machine.storage.free = Number.POSITIVE_INFINITY;
    });
  },
  cloud({ cloud, time }, _machine, draw) {
    const { weather } = cloud;
    weather.throttle = draw.pick([0, 0.3]);
    weather.silent = draw.pick([0, 0.3, 0.6]);
    weather.lag = draw.pick([0, 0, 10_000]);
    time.after(draw.int(10, 120) * 1000, () => Object.assign(weather, { throttle: 0, silent: 0, lag: 0 }));
  },
  others({ cloud }, _machine, draw) {
    if (draw.odds(0.6)) cloud.byOthers("group:brokers", String(draw.int(0, 8)));
    else cloud.byOthers(`record:${ZONE}/b1.brokers.example.com`, draw.odds(0.5) ? null : '["10.20.0.7"]');
  },
  clock({ time }, machine, draw) {
    const by = draw.pick([-1, 1]) * draw.pick([5, 20, 45, 600, 7200]) * 1000;
    const before = machine.clock;
    machine.clock = before + by;
    time.after(draw.int(10, 90) * 1000, () => {
      if (machine.clock === before + by) machine.clock = before;
    });
  },
  restart({ time }, machine, draw) {
    machine.stop();
    time.after(draw.int(5, 30) * 1000, () => machine.start());
  },
  freeze({ time }, machine, draw) {
    machine.freeze();
    time.after(draw.int(1, 60) * 1000, () => machine.thaw());
  },
  replace(stage, machine, draw) {
    // Before it has joined another cannot take its place.
    if (entriesOf(machine, false).length === 0) return;
    // Gone, out of reach, or beside the new one for a while.
    const older = draw.pick(["gone", "gone", "cut", "beside"]);
    if (older === "gone") machine.destroy();
    machine.cut ||= older === "cut";
    void stage.add();
  },
  copy(stage, machine, draw) {
    const { machines, copied, clones, time } = stage;
    const make = stage.image(machine);
    copied.add(machine.holds);
    const restored = draw.odds(0.5);
    const begin = (): void => {
      const made = make();
      // The newest stays the one that should act.
      const takesOver = restored && machines.at(-1) === machine;
      machines.splice(takesOver ? machines.length : -1, 0, made);
      if (!restored) clones.add(made);
      made.start();
    };
    // A snapshot takes its machine's place, no sooner than a call that was under way has ended; a clone runs beside it.
    time.after(draw.int(0, 40) * 1000, () => {
      if (!restored) return begin();
      machine.destroy();
      time.after(RESTORED_MS, begin);
    });
  },
  second: (_stage, machine, draw) => machine.second(draw.int(1, 20) * 1000),
};
