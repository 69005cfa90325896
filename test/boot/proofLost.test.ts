/** An enrolment by a proof that is cut off anywhere: the agent's own code and a real control plane in one process, moto's STS behind them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Config } from "../../agent/config.ts";
import { realNetwork } from "../../agent/host/network.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import { realHost } from "../../agent/host/real.ts";
import { isEnrolmentFault } from "../../agent/identity/fault.ts";
import { loadOrEnrol } from "../../agent/identity/load.ts";
import { ReportAnswer } from "../../agent/wire/protocol.ts";
import { admitPrincipal, readAdmission } from "../../control/admissions.ts";
import { highestEpoch } from "../../control/epoch.ts";
import { readFleet } from "../../control/fleet.ts";
import { initKey } from "../../control/keyFolder.ts";
import { readPlaces } from "../../control/proof/places.ts";
import { type Serving, serve } from "../../control/serve.ts";
import { openSigner } from "../../control/signer.ts";
import { openSqlite } from "../../control/sqlite.ts";
import { readCluster, type Store } from "../../control/store.ts";
import { makeToken } from "../../control/token.ts";
import type { Provider } from "../../providers/provider.ts";
import { enrolled, Fate, faulted, Killed, ownerOf, UID } from "../identity/world.ts";
import { age } from "./aged.ts";
import { proverOf } from "./attacker.ts";
import { type AwsSide, awsSide } from "./awsStage.ts";

const folder = mkdtempSync(join(tmpdir(), "reeve-lost-"));
const dir = join(folder, "control");
let aws: AwsSide;
let serving: Serving;
let store: Store;
let prove: NonNullable<Provider["prove"]>;
let pin: string;
let clusters = 0;
beforeAll(async () => {
  aws = await awsSide();
  pin = (await initKey(join(folder, "keys"), "cmd-test")).thumbprint;
  const at = "127.0.0.1:0";
  const proofs = readPlaces(aws.front.file);
  serving = await serve({ dir, enrol: at, agents: at, trustDomain: undefined, bind: undefined, proofs });
  store = await openSqlite(join(dir, "state.db"));
  prove = await proverOf(aws.cloud);
}, 600_000);
afterAll(async () => {
  await serving?.stop();
  store?.close();
  await aws?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** `root`: whether the config names it. `ahead`: of the machine's clock, in milliseconds. */
type How = { readonly root?: boolean; readonly prove?: Provider["prove"]; readonly ahead?: number };
/** A machine of a cluster of its own, which the control plane admits by its role. */
async function machineOf(cluster: string) {
  const state = mkdtempSync(join(folder, "machine-"));
  const token = join(state, "token");
  const config = (root = true): Config =>
    Config.parse({
      version: 1,
      cluster,
      control_plane: {
        enrol: `https://${serving.ready.enrol}`,
        trust_sha256: pin,
        ...(root ? { root_sha256: serving.ready.root_sha256 } : {}),
      },
      state: join(state, "state"),
      token: { file: token },
      provider: "local",
    });
  return {
    token,
    identity: join(state, "state/identity"),
    async start(fate: Fate | null = null, how: How = {}) {
      const { root = true, prove: by = prove, ahead = 0 } = how;
      const [real, net, ours] = [realHost(), realNetwork(DIRECT), config(root)];
      const host = { ...real, clock: { ...real.clock, now: () => real.clock.now() + ahead } };
      const result = await loadOrEnrol({
        host: fate === null ? host : { ...host, disk: fate.disk(host.disk) },
        net: fate === null ? net : fate.net(net),
        config: ours,
        owner: ownerOf(ours),
        credentials: null,
        uid: UID,
        prove: by,
      });
      if (!isEnrolmentFault(result)) opened.push(result.session);
      return result;
    },
  };
}
type Machine = Awaited<ReturnType<typeof machineOf>>;
const opened: { close(): void }[] = [];

async function newCluster(): Promise<string> {
  const cluster = `c${++clusters}`;
  await admit(cluster);
  return cluster;
}
async function admit(cluster: string): Promise<void> {
  const principal = { platform: "aws", place: aws.cloud.account, who: aws.cloud.role } as const;
  await admitPrincipal(store, { cluster, principal, budget: 3, by: "maria", why: "test" });
}
async function newToken(cluster: string): Promise<string> {
  return (await makeToken(dir, cluster, 3600, openSigner({ keys: join(folder, "keys") }))).token;
}
/** A cluster whose first machine has joined, and speaks. */
async function joinedCluster(): Promise<{ cluster: string; first: Machine }> {
  const cluster = await newCluster();
  const first = await machineOf(cluster);
  writeFileSync(first.token, await newToken(cluster), { mode: 0o600 });
  await speaks(first);
  return { cluster, first };
}
/** It joins, or has joined, and the control plane hears it. */
async function speaks(machine: Machine): Promise<number> {
  const identity = enrolled(await machine.start());
  const said = await identity.session.post(
    "/v1/reports",
    { from: 0, entries: [], checkpoint: "", proofs: null },
    ReportAnswer,
    {
      timeoutSeconds: 60,
    },
  );
  // An empty report is not of its form; that it was read at all says that the certificate is the acting one's.
  expect(said).toMatchObject({ fault: expect.stringMatching(/^(?:malformed|conflict)$/) });
  identity.session.close();
  return identity.epoch;
}
const standing = async (
  cluster: string,
): Promise<{ epoch: number; highest: number; used: number | null; alarms: string[] }> =>
  store.transaction(async (sql) => ({
    epoch: (await readCluster(sql, cluster))?.epoch ?? 0,
    highest: await highestEpoch(sql, cluster),
    used: (await readAdmission(sql, cluster))?.used ?? null,
    alarms: (await readFleet(sql)).find((one) => one.cluster === cluster)?.alarms.map(({ kind }) => kind) ?? [],
  }));

/** Runs it cut off before and after each of its effects, each time on a machine and a cluster of their own; then once more, whole. */
async function cutOff(
  prepare: () => Promise<{ cluster: string; machine: Machine }>,
  holds: (cluster: string, machine: Machine) => Promise<void>,
): Promise<number> {
  const whole = new Fate(Number.POSITIVE_INFINITY, "before");
  enrolled(await (await prepare()).machine.start(whole));
  for (let at = 1; at <= whole.count; at++) {
    for (const when of ["before", "after"] as const) {
      const { cluster, machine } = await prepare();
      const killed = await machine.start(new Fate(at, when)).then(
        () => false,
        (error: unknown) => {
          if (error instanceof Killed) return true;
          throw error;
        },
      );
      expect(killed).toBe(true);
      await holds(cluster, machine);
      for (const session of opened.splice(0)) session.close();
    }
  }
  return whole.count;
}

test("cut off at any write or send, a first enrolment by token and proof ends with one epoch and a whole budget", async () => {
  const points = await cutOff(
    async () => {
      const cluster = await newCluster();
      const machine = await machineOf(cluster);
      writeFileSync(machine.token, await newToken(cluster), { mode: 0o600 });
      return { cluster, machine };
    },
    async (cluster, machine) => {
      expect(await speaks(machine)).toBe(1);
      expect(await standing(cluster)).toEqual({ epoch: 1, highest: 1, used: 0, alarms: [] });
      expect([existsSync(machine.token), existsSync(`${machine.identity}/pending.json`)]).toEqual([false, false]);
    },
  );
  // state, identity, pin, connect, nonce, pending, sent, send, root, agent, pending's and token's removal
  expect(points).toBe(12);
}, 480_000);

test("cut off at any write or send, a replacement by proof alone is one epoch more and one of the budget", async () => {
  const points = await cutOff(
    async () => {
      const { cluster } = await joinedCluster();
      return { cluster, machine: await machineOf(cluster) };
    },
    async (cluster, machine) => {
      expect(await speaks(machine)).toBe(2);
      expect(await standing(cluster)).toEqual({ epoch: 2, highest: 2, used: 1, alarms: [] });
    },
  );
  expect(points).toBe(11);
}, 480_000);

/** Its certificate becomes one that ended nine days ago. */
const aged = (cluster: string, machine: Machine): Promise<void> =>
  age({ dir, store }, cluster, machine.identity, Date.now() - 9 * 86_400_000);

test("cut off at any write or send, an agent past its grace enrols anew as the next epoch, once, and is never fenced by its own doing", async () => {
  const points = await cutOff(
    async () => {
      const { cluster, first } = await joinedCluster();
      await aged(cluster, first);
      return { cluster, machine: first };
    },
    async (cluster, machine) => {
      expect(await speaks(machine)).toBe(2);
      expect(await standing(cluster)).toEqual({ epoch: 2, highest: 2, used: 1, alarms: [] });
    },
  );
  // connect, nonce, renewal; pin, connect, nonce, pending, sent, send, root, agent, pending's removal
  expect(points).toBe(12);
}, 480_000);

test("past its grace a machine that was replaced meanwhile stays fenced, and one without a platform hears what to do", async () => {
  const { cluster, first } = await joinedCluster();
  await aged(cluster, first);
  // Nothing is asked of the control plane before something is due: the fault comes with the renewal.
  const alone = enrolled(await first.start(null, { prove: null }));
  expect(await alone.renewIfDue()).toMatchObject({ fault: { fault: "expired", exit: 6 } });
  expect(await speaks(await machineOf(cluster))).toBe(2);
  expect(faulted(await first.start())).toMatchObject({ fault: "fenced", exit: 6 });
  expect(await standing(cluster)).toMatchObject({ epoch: 2, used: 1 });
});

/** What a try ends by that did not enrol, though this machine still was the one that acts. */
const REFUSED: Record<string, { stand: (cluster: string) => Promise<void>; prove?: Provider["prove"] }> = {
  "proof-budget": {
    stand: (cluster) =>
      store.transaction(async (sql) => {
        await sql.run("update admissions set used = budget where cluster = $1", cluster);
      }),
  },
  "proof-not-admitted": {
    stand: async (cluster) => {
      const principal = { platform: "aws", place: aws.cloud.account, who: "another-role" } as const;
      await admitPrincipal(store, { cluster, principal, budget: 3, by: "maria", why: "test" });
    },
  },
  platform: { stand: async () => undefined, prove: async () => ({ unreachable: "metadata-unreachable" }) },
};
for (const [fault, { stand, prove: by = null }] of Object.entries(REFUSED)) {
  test(`past its grace a machine that was refused (${fault}) and then replaced does not take the place back by the key it asked with`, async () => {
    const { cluster, first } = await joinedCluster();
    await aged(cluster, first);
    await stand(cluster);
    const how = by === null ? {} : { prove: by };
    expect(faulted(await first.start(null, how))).toMatchObject({ fault, exit: 5 });
    expect(faulted(await first.start(null, how))).toMatchObject({ fault, exit: 5 });
    await admit(cluster);
    const second = await machineOf(cluster);
    expect(await speaks(second)).toBe(2);
    expect(faulted(await first.start())).toMatchObject({ fault: "fenced", exit: 6 });
    expect(await standing(cluster)).toMatchObject({ epoch: 2, highest: 2, used: 1 });
    expect(await speaks(second)).toBe(2);
  });
}

test("past its grace a machine whose request was refused enrols once that is made good, if nobody took its place", async () => {
  const { cluster, first } = await joinedCluster();
  await aged(cluster, first);
  await REFUSED["proof-budget"]?.stand(cluster);
  expect(faulted(await first.start()).fault).toBe("proof-budget");
  await admit(cluster);
  expect(await speaks(first)).toBe(2);
});

test("past its grace a copy from before a renewal does not enrol: it is fenced, for the control plane knows a newer certificate", async () => {
  const { cluster, first } = await joinedCluster();
  await aged(cluster, first);
  // As control/peer.ts retires one, in an earlier start of this control plane.
  await store.transaction(async (sql) => {
    await sql.run("update certificates set slot = 'old' where cluster = $1", cluster);
    await sql.run("insert into retired_certificates select serial, '0' from certificates where cluster = $1", cluster);
  });
  expect(faulted(await first.start())).toMatchObject({ fault: "fenced", exit: 6 });
  expect(await standing(cluster)).toMatchObject({ epoch: 1, used: 0 });
});

test("a platform that does not answer is waited for: nothing is burnt, and the same key goes on", async () => {
  const cluster = await newCluster();
  const machine = await machineOf(cluster);
  writeFileSync(machine.token, await newToken(cluster), { mode: 0o600 });
  const away = async () => ({ unreachable: "metadata-unreachable" });
  const fault = faulted(await machine.start(null, { prove: away }));
  expect(fault).toMatchObject({ fault: "platform", exit: 5 });
  expect(fault.message).toContain("metadata-unreachable");
  const pending = readFileSync(`${machine.identity}/pending.json`, "utf8");
  expect(faulted(await machine.start(null, { prove: away })).fault).toBe("platform");
  expect(readFileSync(`${machine.identity}/pending.json`, "utf8")).toBe(pending);
  expect(await standing(cluster)).toMatchObject({ epoch: 0, used: 0 });
  expect(await speaks(machine)).toBe(1);
});

test("a key whose certificate was used elsewhere is given up, and the next try is another machine's", async () => {
  const { cluster } = await joinedCluster();
  const machine = await machineOf(cluster);
  // Stopped after the answer was stored: a snapshot from just before holds the key, and the machine goes on to use it.
  await expect(machine.start(new Fate(9, "before"))).rejects.toThrow(Killed);
  const pending = readFileSync(`${machine.identity}/pending.json`, "utf8");
  expect(await speaks(machine)).toBe(2);
  rmSync(`${machine.identity}/agent.json`);
  writeFileSync(`${machine.identity}/pending.json`, pending, { mode: 0o600 });
  expect(faulted(await machine.start())).toMatchObject({ fault: "key-used", exit: 5 });
  expect(await speaks(machine)).toBe(3);
  expect(await standing(cluster)).toMatchObject({ used: 2, alarms: [] });
});

test("without a token, or with one that has expired, the config must name the root: else nothing is sent, and it says so", async () => {
  const { cluster } = await joinedCluster();
  const machine = await machineOf(cluster);
  const missing = faulted(await machine.start(null, { root: false }));
  expect(missing).toMatchObject({ fault: "token-missing", exit: 6 });
  expect(missing.message).toContain("the config must name the control plane's root");
  expect(missing.hint).toContain("control_plane.root_sha256");
  const { token } = await makeToken(dir, cluster, 1, null);
  writeFileSync(machine.token, token, { mode: 0o600 });
  const { exp } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { exp: number };
  while (Date.now() < exp * 1000) await Bun.sleep(50);
  expect(faulted(await machine.start(null, { root: false }))).toMatchObject({ fault: "token-expired", exit: 6 });
  expect(faulted(await machine.start(null, { prove: null }))).toMatchObject({ fault: "token-expired", exit: 6 });
  expect(await speaks(machine)).toBe(2);
  expect(existsSync(machine.token)).toBe(false);
  expect(await standing(cluster)).toMatchObject({ used: 1 });
});

test("a token that has expired by this machine's clock alone goes along with the proof: the control plane's clock decides", async () => {
  const cluster = await newCluster();
  const machine = await machineOf(cluster);
  const { token } = await makeToken(dir, cluster, 90, openSigner({ keys: join(folder, "keys") }));
  writeFileSync(machine.token, token, { mode: 0o600 });
  // Further apart nothing is sent.
  expect(faulted(await machine.start(null, { ahead: 2 * 3_600_000 }))).toMatchObject({ fault: "clock", exit: 5 });
  const ahead = enrolled(await machine.start(null, { ahead: 100_000 }));
  expect(ahead.epoch).toBe(1);
  expect(await standing(cluster)).toMatchObject({ epoch: 1, used: 0 });
});

test("a proof for one control plane is worth nothing at another: a root that the config does not name is sent nothing", async () => {
  const { cluster } = await joinedCluster();
  const machine = await machineOf(cluster);
  const asked: Uint8Array[] = [];
  const watched = async (binding: Uint8Array) => {
    asked.push(binding);
    return prove(binding);
  };
  const right = serving.ready.root_sha256;
  (serving.ready as { root_sha256: string }).root_sha256 = "ab".repeat(32);
  expect(faulted(await machine.start(null, { prove: watched }))).toMatchObject({ fault: "pin", exit: 6 });
  (serving.ready as { root_sha256: string }).root_sha256 = right;
  expect(asked).toEqual([]);
});
