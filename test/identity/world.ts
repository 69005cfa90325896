import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Config } from "../../agent/config.ts";
import type { Disk, Host } from "../../agent/host/host.ts";
import { type Network, realNetwork } from "../../agent/host/network.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import { realHost } from "../../agent/host/real.ts";
import { type EnrolmentFault, isEnrolmentFault } from "../../agent/identity/fault.ts";
import type { Identity } from "../../agent/identity/identity.ts";
import { loadOrEnrol } from "../../agent/identity/load.ts";
import type { OwnersFolder } from "../../agent/owner/folder.ts";
import { ownersFolder } from "../../agent/owner/place.ts";
import type { Provider } from "../../providers/provider.ts";
import { CLUSTER, type Plane, pinOf, startPlane } from "./plane.ts";

export const UID = process.getuid?.() ?? -1;

/** Thrown where the process would have been killed. No code under test knows it. */
export class Killed extends Error {}

/** Counts effects; at the n-th it kills, before the effect or after it was done and nobody heard. */
export class Fate {
  count = 0;
  private dead = false;
  constructor(
    private readonly at: number,
    private readonly when: "before" | "after",
  ) {}
  private meet(act: () => unknown): unknown {
    if (this.dead) throw new Killed("already");
    this.count++;
    if (this.count !== this.at) return act();
    this.dead = true;
    if (this.when === "before") throw new Killed("before");
    const done = act();
    if (done instanceof Promise) {
      return done.then(() => {
        throw new Killed("after");
      });
    }
    throw new Killed("after");
  }
  disk(disk: Disk): Disk {
    const doomed: Disk = { ...disk };
    for (const name of ["makeDirectory", "replace", "remove"] as const) {
      const act = disk[name] as (...args: unknown[]) => void;
      Object.assign(doomed, { [name]: (...args: unknown[]) => this.meet(() => act(...args)) });
    }
    return doomed;
  }
  net(net: Network): Network {
    return {
      shownChain: (url, wait) => this.meet(() => net.shownChain(url, wait)) as ReturnType<Network["shownChain"]>,
      connect: (async (to, wait) => {
        const line = await (this.meet(() => net.connect(to, wait)) as ReturnType<Network["connect"]>);
        if ("unreachable" in line) return line;
        return {
          ask: async (ask, asking) => this.meet(() => line.ask(ask, asking)) as ReturnType<typeof line.ask>,
          get closed() {
            return line.closed;
          },
          close: () => line.close(),
        };
      }) as Network["connect"],
    };
  }
}

export type World = Awaited<ReturnType<typeof makeWorld>>;

/** A folder, a control plane and a clock that can be moved. */
export async function makeWorld() {
  const folder = mkdtempSync(join(tmpdir(), "reeve-identity-"));
  let offset = 0;
  const real = realHost();
  const clock = { ...real.clock, now: () => real.clock.now() + offset };
  const host: Host = { ...real, clock };
  const plane: Plane = await startPlane(clock.now);
  const config = (change: object = {}): Config =>
    Config.parse({
      version: 1,
      cluster: CLUSTER,
      control_plane: { enrol: plane.url, trust_sha256: pinOf(plane.first) },
      state: join(folder, "state"),
      token: { file: join(folder, "token") },
      provider: "local",
      ...change,
    });
  const open: Identity[] = [];
  return {
    folder,
    tokenFile: join(folder, "token"),
    identityFolder: join(folder, "state", "identity"),
    host,
    plane,
    config,
    pass(milliseconds: number) {
      offset += milliseconds;
    },
    async placeToken(claims: Parameters<Plane["token"]>[0] = {}) {
      const token = await plane.token(claims);
      writeFileSync(join(folder, "token"), `${token}\n`, { mode: 0o600 });
      return token;
    },
    async start(
      options: {
        config?: Config;
        fate?: Fate;
        net?: Network;
        credentials?: string | null;
        uid?: number;
        prove?: Provider["prove"];
      } = {},
    ) {
      const net = options.net ?? realNetwork(DIRECT);
      const ours = options.config ?? config();
      const started = await loadOrEnrol({
        host: options.fate === undefined ? host : { ...host, disk: options.fate.disk(host.disk) },
        net: options.fate === undefined ? net : options.fate.net(net),
        config: ours,
        owner: ownerOf(ours),
        credentials: options.credentials ?? null,
        uid: options.uid ?? UID,
        prove: options.prove ?? null,
      });
      if (!isEnrolmentFault(started)) open.push(started);
      return started;
    },
    end() {
      for (const identity of open) identity.session.close();
      plane.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function enrolled(result: Identity | EnrolmentFault): Identity {
  if (isEnrolmentFault(result)) throw new Error(`${result.fault}: ${result.message}`);
  return result;
}
export function faulted(result: Identity | EnrolmentFault): EnrolmentFault {
  if (!isEnrolmentFault(result)) throw new Error("enrolled, where a fault was due");
  return result;
}

/** The owner's folder that a config of these tests names. */
export function ownerOf(config: Config): OwnersFolder {
  return ownersFolder(realHost(), config, { bucket: null });
}
