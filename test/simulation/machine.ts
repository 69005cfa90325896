import { Command } from "commander";
import { Complaint } from "../../agent/commands/config.ts";
import { runCommand } from "../../agent/commands/run.ts";
import { DiskError, type Host } from "../../agent/host/host.ts";
import type { Machine as Surroundings } from "../../agent/host/machine.ts";
import type { Cloud } from "./cloud.ts";
import { diskOf, type Point } from "./disk.ts";
import { isSegment } from "./entries.ts";
import { type Exchange, networkOf, type Weather } from "./net.ts";
import { CLUSTER, type ControlPlane, ENROL_URL } from "./plane.ts";
import { type Watched, worldProvider } from "./provider.ts";
import { type Chance, randomOf } from "./random.ts";
import { emptyStorage, losePower, putFile, type Storage } from "./storage.ts";
import type { Time } from "./time.ts";

/** A program that has died goes no further: whatever it calls throws this. */
export class Crash extends Error {}

const UID = 990;
export const OWNER = "/etc/reeve/owner";
const RESTART_SECONDS = 5;
/** deploy/systemd/reeve.service: RestartPreventExitStatus, StartLimitBurst within StartLimitIntervalSec. */
const NO_RESTART: ReadonlySet<number> = new Set([2, 3, 4, 6, 70]);
const START_LIMIT = { burst: 10, milliseconds: 300_000 };

/** What breaks at the so-manieth step of the disk from now on. */
export type DiskFault = {
  readonly at: Point | "any";
  readonly how: "kill" | "power" | "EIO";
  steps: number;
};

export type Process = {
  readonly number: number;
  readonly machine: Machine;
  readonly alive: boolean;
  /** Told by an answer that it is fenced. */
  fenced: boolean;
};

export type Machine = {
  readonly name: string;
  /** The machine that enrolled: another's where its disk is a copy. */
  readonly holds: string;
  readonly storage: Storage;
  /** Milliseconds that its clock is ahead. */
  clock: number;
  /** No packet comes or goes. */
  cut: boolean;
  readonly process: Process | null;
  /** Why the newest process ended; null while it runs, or before the first. */
  readonly ended: { readonly code: number } | null;
  /** The last lines of its agent. */
  readonly said: string;
  faults: DiskFault[];
  /** Nothing runs on it until it is thawed: stopped by a signal, or by a hypervisor that is busy. */
  freeze(): void;
  thaw(): void;
  start(): void;
  /** Another process on the same state, beside the service's own: somebody runs it by hand. It is told to stop after so long. */
  second(milliseconds: number): void;
  /** SIGTERM. */
  stop(): void;
  kill(): void;
  losePower(): void;
  /** Switched off for good. */
  destroy(): void;
  localTime(): number;
};

/** What a machine stands in. */
export type Surrounding = {
  readonly time: Time;
  readonly plane: ControlPlane;
  readonly weather: Weather;
  readonly cloud: Cloud;
  readonly draw: Chance;
  /** `on` is told of a process's dealings as they happen. */
  readonly on: {
    entered(process: Process, ...rest: Parameters<Watched["entered"]>): void;
    leaving(process: Process, ...rest: Parameters<Watched["leaving"]>): void;
    recorded(machine: Machine, path: string): void;
    ended(process: Process, code: number, broke: unknown): void;
    answered(process: Process, exchange: Exchange): string;
    heard(process: Process, status: number, text: string): void;
  };
  trace(what: string): void;
};

export function configText(pin: string, log: { readonly segmentAge: string; readonly retention: string }): string {
  return `version: 1
cluster: ${CLUSTER}
control_plane: { enrol: "${ENROL_URL}", trust_sha256: ${pin} }
owner: { directory: ${OWNER}, uid: 0 }
token: { file: /etc/reeve/token }
provider: local
log: { retention: ${log.retention}, segment: 16MiB, segment_age: ${log.segmentAge} }
`;
}

/** What a machine begins with: nothing but what an operator puts there, or the image of another's disk. */
export type Origin =
  | { readonly config: string; readonly token: string }
  | { readonly holds: string; readonly storage: Storage };

export function newMachine(name: string, from: Origin, at: Surrounding): Machine {
  const { time } = at;
  const draw = at.draw.fork(name);
  const booted = time.now();
  let current: Running | null = null;
  let ended: Machine["ended"] = null;
  /** How many hold it still. */
  let frozen = 0;
  let said = "";
  let gone = false;
  let starts: number[] = [];
  let processes = 0;
  const parked: (() => void)[] = [];
  const sides = new Set<Running>();
  const storage = "storage" in from ? from.storage : emptyStorage();
  if ("config" in from) {
    putFile(storage, "/etc/reeve/reeve.yaml", from.config, 0o644);
    putFile(storage, "/etc/reeve/token", from.token, 0o600);
  }

  type Running = Process & { alive: boolean; readonly left: AbortController; terminate: () => void };

  function die(process: Running, by: "kill" | "power"): void {
    if (!process.alive) return;
    process.alive = false;
    if (current === process) current = null;
    sides.delete(process);
    for (const [path, holder] of machine.storage.locks) if (holder === process) machine.storage.locks.delete(path);
    // The kernel resets connections of a process that it outlives; of a machine without power nobody hears.
    if (by === "kill") process.left.abort();
  }

  function crash(process: Running, by: "kill" | "power"): void {
    at.trace(`${machine.name}: ${by === "kill" ? "killed" : "power lost"}`);
    const side = sides.has(process);
    die(process, by);
    if (by === "power") {
      for (const other of [...sides, ...(current === null ? [] : [current])]) die(other, by);
      losePower(machine.storage, draw, time.now());
    }
    if (side && by === "kill") return;
    time.after((by === "power" ? 30 : RESTART_SECONDS) * 1000, () => startIfIdle());
  }

  function startIfIdle(): void {
    if (gone || current !== null) return;
    if (frozen > 0) return void parked.push(startIfIdle);
    starts = starts.filter((moment) => moment > time.now() - START_LIMIT.milliseconds);
    if (starts.length >= START_LIMIT.burst) return;
    start();
  }

  function deliverTo(process: Running, act: () => void): void {
    if (!process.alive) return;
    if (frozen > 0) parked.push(() => deliverTo(process, act));
    else act();
  }

  function step(process: Running, point: Point, path: string) {
    alive(process);
    // A file system in memory.
    if (path.startsWith("/run/")) return null;
    for (const fault of machine.faults) {
      if (fault.at !== "any" && fault.at !== point) continue;
      if (fault.steps-- > 0) continue;
      machine.faults = machine.faults.filter((one) => one !== fault);
      const { how } = fault;
      return {
        part: draw.unit(),
        end: (): never => {
          at.trace(`${machine.name}: ${how} at ${point} ${path}`);
          if (how === "EIO") throw new DiskError("EIO", path, `EIO: ${path}`);
          crash(process, how);
          throw new Crash();
        },
      };
    }
    return null;
  }

  function alive(process: Running): void {
    if (!process.alive) throw new Crash();
  }

  function hostOf(process: Running): Host {
    const guard = {
      alive: () => alive(process),
      step: (point: Point, path: string) => step(process, point, path),
      uid: UID,
      now: () => time.now(),
      synced: (path: string) => {
        if (isSegment(path)) at.on.recorded(machine, path);
      },
      holder: process,
    };
    return {
      clock: {
        now: () => machine.localTime(),
        monotonic: () => time.now() - booted,
        sleep: (milliseconds, signal) =>
          new Promise((resolve) => {
            if (signal?.aborted === true) return resolve();
            const timer = time.after(milliseconds, () => deliverTo(process, end));
            const onAbort = (): void => {
              timer.cancel();
              resolve();
            };
            const end = (): void => {
              signal?.removeEventListener("abort", onAbort);
              resolve();
            };
            signal?.addEventListener("abort", onAbort, { once: true });
          }),
      },
      random: randomOf(draw.fork(`process ${process.number}`), () => machine.localTime()),
      disk: diskOf(machine.storage, guard),
    };
  }

  function start(): void {
    starts.push(time.now());
    ended = null;
    const made = launch((exit) => {
      ended = { code: exit };
      if (exit !== 0 && !NO_RESTART.has(exit)) time.after(RESTART_SECONDS * 1000, () => startIfIdle());
    });
    if (made.alive) current = made;
  }

  function launch(then: (exit: number) => void): Running {
    const number = ++processes;
    const process: Running = {
      number,
      machine,
      alive: true,
      fenced: false,
      left: new AbortController(),
      terminate: () => undefined,
    };
    at.trace(`${machine.name}: started`);
    const host = hostOf(process);
    let code = 0;
    const surroundings: Surroundings = {
      uid: UID,
      pid: number,
      terminal: false,
      screen: false,
      runtime: "simulation",
      execArguments: [],
      credentials: null,
      environ: () => "",
      stdout: () => undefined,
      stdin: () => "",
      confirm: async () => false,
      home: () => null,
      stderr: (line) => {
        said = `${said}${line}`.slice(-4000);
      },
      onTerminate: (then) => {
        process.terminate = then;
      },
      notify: () => undefined,
      giveBack: () => undefined,
      alive: () => true,
      watchdogMs: null,
    };
    const net = networkOf({
      time,
      plane: at.plane,
      weather: at.weather,
      draw: draw.fork(`net ${number}`),
      left: process.left.signal,
      cut: () => machine.cut || gone,
      deliver: (act) => deliverTo(process, act),
      answered: (exchange) => at.on.answered(process, exchange),
      heard: (status, text) => at.on.heard(process, status, text),
    });
    const provider = worldProvider({
      cloud: at.cloud,
      sleep: (milliseconds) => host.clock.sleep(milliseconds),
      deliver: (act) => deliverTo(process, act),
      entered: (...rest) => at.on.entered(process, ...rest),
      leaving(...rest) {
        alive(process);
        at.on.leaving(process, ...rest);
      },
    });
    const program = new Command("reeve").exitOverride();
    runCommand(program, {
      host,
      machine: surroundings,
      net: () => net,
      version: "0.0.0",
      provider: async () => provider,
      askWitness: () => async () => ({ unreachable: "dns" }),
      exit: (given) => {
        code = given;
      },
    });
    const finish = (exit: number, broke: unknown): void => {
      if (!process.alive) return;
      die(process, "kill");
      at.trace(`${machine.name}: exit ${exit}`);
      at.on.ended(process, exit, broke);
      then(exit);
    };
    program.parseAsync(["run"], { from: "user" }).then(
      () => finish(code, null),
      (error: unknown) => {
        if (error instanceof Complaint) finish(error.exit, null);
        else if (error instanceof DiskError) finish(error.code === "EACCES" || error.code === "EPERM" ? 4 : 7, null);
        else finish(70, error);
      },
    );
    return process;
  }

  const machine: Machine = {
    name,
    holds: "storage" in from ? from.holds : name,
    storage,
    clock: 0,
    cut: false,
    get process() {
      return current;
    },
    get ended() {
      return ended;
    },
    get said() {
      return said;
    },
    faults: [],
    freeze() {
      frozen++;
    },
    thaw() {
      frozen--;
      if (frozen > 0) return;
      for (const act of parked.splice(0)) act();
    },
    start() {
      starts = [];
      startIfIdle();
    },
    second(milliseconds) {
      if (gone || frozen > 0) return;
      const side = launch(() => undefined);
      if (side.alive) sides.add(side);
      time.after(milliseconds, () => deliverTo(side, () => side.terminate()));
    },
    stop: () => current?.terminate(),
    kill() {
      if (current !== null) crash(current, "kill");
    },
    losePower() {
      if (current !== null) crash(current, "power");
    },
    destroy() {
      gone = true;
      for (const side of sides) die(side, "power");
      if (current !== null) die(current, "power");
    },
    localTime: () => time.now() + machine.clock,
  };
  return machine;
}
