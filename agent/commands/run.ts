import type { Command } from "commander";
import type { Provider } from "../../providers/provider.ts";
import { LogDamaged, LogUnavailable } from "../audit/log.ts";
import type { Config } from "../config.ts";
import { forbiddenNames } from "../environment.ts";
import { DiskError, type Host } from "../host/host.ts";
import type { Machine } from "../host/machine.ts";
import type { Network } from "../host/network.ts";
import { loadOrEnrol } from "../identity/load.ts";
import { logger } from "../logger.ts";
import { ownersFolder } from "../owner/place.ts";
import { run } from "../run.ts";
import { digestOf } from "../wire/envelope.ts";
import type { AskWitness } from "../witness/follow.ts";
import { Complaint, DEFAULT_CONFIG, readConfig } from "./config.ts";
import { stateLock } from "./stateLock.ts";

export type RunDeps = {
  readonly host: Host;
  readonly machine: Machine;
  /** The network as the config's `egress` wants it. */
  net(config: Config, uid: number): Network;
  readonly version: string;
  /** Loads the configured provider, and only that one. `uid`: the agent's, as for `net`. */
  provider(config: Config, uid: number): Promise<Provider>;
  askWitness(config: Config, uid: number): AskWitness;
  exit(code: number): void;
};

/** `run`: the agent itself. */
export function runCommand(program: Command, deps: RunDeps): void {
  program
    .command("run")
    .description("join when there is no identity yet, then take commands until SIGTERM")
    .option("--config <file>", "the agent's config", DEFAULT_CONFIG)
    .action(async (options: { config: string }) => {
      deps.exit(await start(options.config, deps));
    });
}

async function start(configPath: string, deps: RunDeps): Promise<number> {
  const { host, machine } = deps;
  refuseEnvironment(machine);
  const { config, bytes } = readConfig(host.disk, configPath);
  prepareFolders(host, config, machine.uid);
  // Before anything else is read or written there: a second process must not so much as send the token, or say how it is.
  const lock = stateLock(host.disk, config.state);
  try {
    return await startLocked(config, bytes, deps);
  } finally {
    lock.free();
  }
}

async function startLocked(config: Config, bytes: Uint8Array, deps: RunDeps): Promise<number> {
  const { host, machine } = deps;
  const say = logger(() => host.clock.now(), machine.terminal, machine.stderr);
  if ("directory" in config.owner && machine.uid === config.owner.uid)
    say("warn", "the agent runs as the owner of its own policy; give it a user of its own", { uid: machine.uid });
  const stop = new AbortController();
  machine.onTerminate(() => {
    say("info", "stopping: running commands are finished first");
    stop.abort();
  });
  const provider = await deps.provider(config, machine.uid);
  const owner = ownersFolder(host, config, provider);
  const net = deps.net(config, machine.uid);
  try {
    return await run({
      host,
      config,
      configDigest: digestOf(bytes),
      version: deps.version,
      pid: machine.pid,
      runtime: machine.runtime,
      provider,
      owner,
      askWitness: deps.askWitness(config, machine.uid),
      say,
      stop,
      identify: () =>
        loadOrEnrol({
          host,
          net,
          config,
          owner,
          credentials: machine.credentials,
          uid: machine.uid,
          prove: provider.prove,
        }),
      ready: () => machine.notify("--ready"),
      watchdog:
        machine.watchdogMs === null
          ? null
          : { everyMs: machine.watchdogMs / 3, ping: () => machine.notify("WATCHDOG=1") },
      giveBack: machine.giveBack,
    });
  } catch (error) {
    if (error instanceof LogUnavailable || error instanceof LogDamaged) {
      say("error", `Cannot go on: ${error.message}`, { hint: error.hint });
      return 7;
    }
    throw error;
  }
}

/** DESIGN section 10: a tripwire, not the control. */
function refuseEnvironment(machine: Machine): void {
  const names = forbiddenNames(machine.environ());
  if (names.length > 0)
    throw new Complaint(
      "run",
      `the environment holds ${names.slice(0, 8).join(", ")}, which can change what runs`,
      "Start it with an empty environment (env -i, or the unit that comes with it).",
      3,
    );
  if (machine.execArguments.length > 0)
    throw new Complaint(
      "run",
      `the runtime was given ${machine.execArguments.length} options of its own`,
      "Start the executable plainly.",
      3,
    );
}

/** The state folder is the agent's alone; the runtime folder may be read. */
function prepareFolders(host: Host, config: Config, uid: number): void {
  for (const folder of [config.state, `${config.state}/identity`, `${config.state}/audit`, `${config.state}/details`])
    own(host, folder, 0o700, uid);
  if (config.csr === undefined) own(host, `${config.state}/csr`, 0o700, uid);
  own(host, config.runtime, 0o755, uid);
}

function own(host: Host, folder: string, mode: number, uid: number): void {
  const cannot = `use the folder ${folder}`;
  try {
    if (!host.disk.exists(folder)) host.disk.makeDirectory(folder, mode);
    const stat = host.disk.stat(folder);
    if (stat.kind !== "directory")
      throw new Complaint(cannot, "it is not a folder", "Name another in the config, or remove what lies there.", 4);
    if (stat.uid !== uid)
      throw new Complaint(
        cannot,
        `it belongs to uid ${stat.uid}, and the agent runs as uid ${uid}`,
        `chown ${uid} ${folder}`,
        4,
      );
    if ((stat.mode & 0o077 & ~mode) !== 0)
      throw new Complaint(
        cannot,
        `others may use it (mode ${(stat.mode & 0o777).toString(8)})`,
        `chmod ${mode.toString(8)} ${folder}`,
        4,
      );
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    throw new Complaint(cannot, `${error.path}: ${error.code}`, "Create it, owned by the agent's user.", 4);
  }
}
