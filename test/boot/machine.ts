import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { requireDebian } from "../tools.ts";
import { CLEAN, ended, must, type Ran, ran, until } from "./ran.ts";
import { childOf, nspawn, type Stage } from "./stage.ts";

/** What an image of the cloud would bring: where the seed is, and that no locale is generated (Debian's package asks for en_US, which a bare system has not). */
const IMAGE = "datasource_list: [NoCloud]\nnetwork: { config: disabled }\nlocale: C.UTF-8\n";

export type Machine = {
  /** Begins to boot: systemd as process 1. Returns when cloud-init says that it is done, or has failed. */
  boot(): Promise<Settled>;
  /** The same without waiting. */
  begin(): Promise<void>;
  settled(): Promise<Settled>;
  /** Runs a command in the machine that runs. */
  inside(...argv: readonly string[]): Promise<Ran>;
  /** A file of the machine's disk, whether it runs or not; "" without. */
  read(path: string): string;
  /** Its disk's path, as this process reaches it. */
  at(path: string): string;
  /** As when its power button is pressed. */
  powerOff(): Promise<void>;
  /** As when its power is cut: nothing in it gets another instruction. */
  cut(): Promise<void>;
  end(): Promise<void>;
};
/** `cloud-init status`, and what the boot's stages wrote. */
export type Settled = { readonly status: string; readonly long: string; readonly output: string };

/** A machine with user-data from a NoCloud seed. What this machine would start by itself is not started there. */
export function makeMachine(stage: Stage, userData: string): Machine {
  requireDebian({ "cloud-init": "cloud-init" });
  const { at } = stage;
  // Programs of the tests' machine, which are none of this machine's.
  for (const folder of ["multi-user.target.wants", "timers.target.wants"]) empty(at(`/etc/systemd/system/${folder}`));
  for (const level of ["2", "3", "4", "5", "S"]) empty(at(`/etc/rc${level}.d`));
  write(at("/etc/machine-id"), `${randomBytes(16).toString("hex")}\n`);
  write(at("/etc/cloud/cloud.cfg.d/99-image.cfg"), IMAGE);
  const seed = at("/var/lib/cloud/seed/nocloud");
  mkdirSync(seed, { recursive: true, mode: 0o700 });
  write(`${seed}/meta-data`, "instance-id: i-0123456789abcdef0\nlocal-hostname: reeve\n");
  write(`${seed}/user-data`, userData);

  let outer: ChildProcess | null = null;
  let [leader, console] = [0, ""];
  const running = (): boolean => outer !== null && outer.exitCode === null && outer.signalCode === null;
  const read = (path: string): string => (existsSync(at(path)) ? readFileSync(at(path), "utf8") : "");
  const inside = (...argv: readonly string[]): Promise<Ran> =>
    ran([
      "nsenter",
      "--target",
      String(leader),
      "--all",
      "--",
      "env",
      "-i",
      "PATH=/usr/local/bin:/usr/sbin:/usr/bin",
      ...argv,
    ]);
  const words = (): string => `${console}\n${read("/var/log/cloud-init-output.log").slice(-4000)}`;
  const self: Machine = {
    at,
    read,
    inside,
    async begin() {
      const [program = "", ...args] = [...stage.enter, ...nspawn(stage), "--boot"];
      const child = spawn(program, args, { env: CLEAN, stdio: ["ignore", "pipe", "pipe"] });
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (chunk: Buffer) => {
          console += chunk.toString();
        });
      outer = child;
      leader = await until(
        "the machine has a process 1",
        () => {
          if (!running()) throw new Error(`the machine ended: ${console}`);
          return processOne(child.pid ?? 0);
        },
        words,
      );
    },
    async settled() {
      await until(
        "cloud-init has ended",
        () => {
          if (!running()) throw new Error(`the machine ended: ${words()}`);
          return existsSync(`/proc/${leader}/root/run/cloud-init/result.json`) ? true : null;
        },
        words,
      );
      const long = await until("cloud-init has a status", async () => {
        const { stdout } = await inside("cloud-init", "status", "--long");
        return /^status: (?:done|error|disabled)/m.test(stdout) ? stdout : null;
      });
      const status = /^status: (\w+)/m.exec(long)?.[1] ?? "";
      return { status, long, output: read("/var/log/cloud-init-output.log") };
    },
    async boot() {
      await self.begin();
      return self.settled();
    },
    async powerOff() {
      if (outer === null || !running()) return;
      await inside("systemctl", "poweroff");
      await Promise.race([ended(outer), Bun.sleep(180_000)]);
      if (running()) throw new Error(`the machine does not power off: ${words()}`);
    },
    async cut() {
      await must(...stage.enter, "sh", "-c", 'echo 1 >"$0/cgroup.kill"', stage.cgroup);
      if (outer !== null) await ended(outer);
    },
    async end() {
      outer?.kill("SIGKILL");
      await stage.end();
    },
  };
  return self;
}

/** Process 1 of the machine below `nsenter`, which waits for nspawn, which waits for it; null while there is none. */
function processOne(outer: number): number | null {
  const nspawn = childOf(outer);
  const leader = nspawn === null ? null : childOf(nspawn);
  if (leader === null) return null;
  const comm = existsSync(`/proc/${leader}/comm`) ? readFileSync(`/proc/${leader}/comm`, "utf8").trim() : "";
  return comm === "systemd" ? leader : null;
}

function empty(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) rmSync(`${folder}/${name}`, { recursive: true, force: true });
}

function write(path: string, text: string): void {
  // Not through a link of this machine's own: it would end elsewhere.
  rmSync(path, { force: true });
  writeFileSync(path, text);
}

/** Lines at the end of a file of the machine's disk. */
export function append(path: string, text: string): void {
  appendFileSync(path, text);
}
