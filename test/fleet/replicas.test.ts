import { afterAll, beforeAll, expect, test } from "bun:test";
import { copiesOf } from "../../control/copies.ts";
import { readCommands, readFleet } from "../../control/fleet.ts";
import { openStore } from "../../control/openStore.ts";
import { send } from "../../control/send.ts";
import { openSigner, type Signer } from "../../control/signer.ts";
import { OPEN_STATES, type Store } from "../../control/store.ts";
import { type Customer, type Fleet, fleetOf } from "./fleet.ts";
import { until } from "./processes.ts";
import { scaledFiles, startedOf } from "./scaled.ts";

const CLUSTERS = ["prod-eu-1", "prod-eu-2", "prod-us-1"];
const ROUNDS = 8;
const MINUTES = 60_000;
let fleet: Fleet;
let store: Store;
let signer: Signer;

beforeAll(async () => {
  fleet = await fleetOf("postgres", CLUSTERS, scaledFiles);
  store = await openStore(fleet.plane.dir);
  const opened = openSigner({ keys: fleet.keys });
  if (opened === null) throw new Error("no signer");
  signer = opened;
  for (const customer of fleet.customers) fleet.startAgent(customer);
  await until("every agent polls", async () =>
    (await store.read(readFleet)).every((one) => one.last_seen !== null && one.entries > 0),
  );
}, 5 * MINUTES);
afterAll(async () => {
  store?.close();
  await fleet?.end();
}, 2 * MINUTES);

async function scale({ cluster }: Customer, count: number): Promise<string> {
  const asked = { action: "scale" as const, args: { group: "brokers", count } };
  const wish = {
    dir: fleet.plane.dir,
    cluster,
    asked,
    by: "maria@vendor.example",
    why: "INC-4312",
    lifetime: 3600,
    dryRun: false,
  };
  return (await send(store, wish, signer)).id;
}

const openOnes = async (): Promise<number> =>
  (await store.read(readFleet)).reduce((sum, one) => sum + one.open_commands, 0);

test(
  "replicas and agents are killed one after the other: no command is lost or runs twice, and no honest agent is fenced",
  async () => {
    const sent = new Map<Customer, string[]>(fleet.customers.map((customer) => [customer, []]));
    for (let round = 0; round < ROUNDS; round++) {
      for (const customer of fleet.customers) sent.get(customer)?.push(await scale(customer, round % 2 === 0 ? 2 : 0));
      const replica = fleet.plane.replicas[round % fleet.plane.replicas.length];
      const customer = fleet.customers[round % fleet.customers.length];
      if (replica === undefined || customer === undefined) throw new Error("nobody to be killed");
      await fleet.plane.kill(replica);
      if (round % 2 === 1) await fleet.killAgent(customer);
      // What was in the hands of the killed ones is finished by those who are left.
      await until(
        "one more command of each is decided",
        async () => (await openOnes()) <= fleet.customers.length,
        5 * MINUTES,
      );
      if (round % 2 === 1) fleet.startAgent(customer);
      await fleet.plane.start(replica);
    }
    await until("every command is decided", async () => (await openOnes()) === 0, 5 * MINUTES);
    for (const [customer, ids] of sent) await judge(customer, ids);
  },
  14 * MINUTES,
);

async function judge(customer: Customer, ids: readonly string[]): Promise<void> {
  const { cluster } = customer;
  const { rows, why, row } = await store.read(async (sql) => ({
    rows: await readCommands(sql, cluster),
    why: await copiesOf(sql, { cluster, epoch: 1 }),
    row: (await readFleet(sql)).find((one) => one.cluster === cluster),
  }));
  expect(why).toBeNull();
  expect([row?.epoch, row?.alarms]).toEqual([1, []]);
  expect(rows.map(({ id }) => id).sort()).toEqual([...ids].sort());
  // One that was killed between intent and outcome finds out afterwards how far it came.
  const interrupted = rows.filter(({ state, code }) => state === "failed" && code === "interrupted");
  const succeeded = rows.filter(({ state }) => state === "succeeded");
  expect(rows.filter((one) => !interrupted.includes(one) && !succeeded.includes(one))).toEqual([]);
  expect(interrupted.length).toBeLessThanOrEqual(ROUNDS / 2);
  expect(rows.some(({ state }) => OPEN_STATES.includes(state))).toBe(false);
  const entries = await fleet.entries(customer);
  for (const id of ids) {
    const kinds = entries.filter((entry) => entry["command"] === id).map((entry) => entry["kind"]);
    expect(kinds).toEqual(["intent", "outcome"]);
  }
  expect(entries.filter((entry) => entry["kind"] === "outcome").length).toBe(ids.length);
  // The entries that the control plane holds are the agent's, each once.
  const held = await store.read((sql) =>
    sql.rows<{ position: number; line: string }>(
      "select position, line from entries where cluster = $1 and epoch = 1 order by position",
      cluster,
    ),
  );
  expect(held.map(({ position }) => position)).toEqual(held.map((_, at) => at));
  expect(held.map(({ line }) => JSON.parse(line))).toEqual(entries.slice(0, held.length));
  // Every second command starts two processes, the others end them: twice carried out it would be more.
  const started = startedOf(customer);
  expect(started).toBeLessThanOrEqual(2 * Math.ceil(ids.length / 2));
  if (interrupted.length === 0) expect(started).toBe(2 * Math.ceil(ids.length / 2));
}
