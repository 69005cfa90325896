import { expect } from "bun:test";
import { readFleet } from "../../control/fleet.ts";
import { exitOfRollout, membersOf, type Shown, summaryOf } from "../../control/rollout/read.ts";
import { nowSeconds, type Store } from "../../control/store.ts";
import { type Drivers, driversOf } from "./drivers.ts";
import type { Engine } from "./plane.ts";
import { until } from "./processes.ts";
import { imagesOf, MACHINES, type Released, releasedTo, rolloutStarted } from "./releases.ts";

const CLUSTERS = Array.from({ length: 7 }, (_, n) => `prod-eu-${n + 1}`);
const LANES = "25,50,100";
const SIZES = [2, 2, 3];
const SOAK_MS = 2000;
/** Between two kills, beside what it takes until all is up again. */
const PAUSE_MS = 3000;
/** On a slow machine an agent whose server is killed again and again may never come to work: after so many it is left in peace. */
const MAX_KILLS = 16;
const DRIVERS = 2;
const MINUTES = 60_000;

export const ROLLOUT_MILLISECONDS = 14 * MINUTES;

/** Takes a release through its lanes while servers and drivers are killed, and judges by the customers' own logs what came of it. */
export async function laneByLane(engine: Engine): Promise<void> {
  const released = await releasedTo(engine, CLUSTERS);
  const { fleet, store } = released;
  const drivers = driversOf(fleet, DRIVERS);
  try {
    const id = await rolloutStarted(released, LANES, `${SOAK_MS / 1000}s`);
    const kills = await troubled(released, drivers, id);
    expect(kills).toBeGreaterThan(0);
    expect(drivers.fallen).toEqual([]);
    await judge(released, id);
  } finally {
    await drivers.end();
    store.close();
    await fleet.end();
  }
}

/** Kills one after the other until the rollout is over; how many. */
async function troubled({ fleet, store }: Released, drivers: Drivers, id: number): Promise<number> {
  const { plane } = fleet;
  const end = Date.now() + 9 * MINUTES;
  let kills = 0;
  do {
    if (kills >= MAX_KILLS) {
      await Bun.sleep(PAUSE_MS);
      if (Date.now() > end)
        throw new Error(`not over: ${JSON.stringify(await store.read((sql) => summaryOf(sql, id)))}`);
      continue;
    }
    const replica = plane.replicas[kills % plane.replicas.length];
    if (replica === undefined) throw new Error("nobody to be killed");
    await plane.kill(replica);
    if (kills % 3 === 1) await drivers.replace(Math.floor(kills / 3));
    await plane.start(replica);
    kills += 1;
    // Where there is no other, nothing goes on before the agents are back: they come again later the more often they found nobody.
    if (plane.replicas.length === 1) await heardFromAll(store, nowSeconds());
    await Bun.sleep(PAUSE_MS);
    if (Date.now() > end) throw new Error(`not over: ${JSON.stringify(await store.read((sql) => summaryOf(sql, id)))}`);
  } while ((await store.read((sql) => summaryOf(sql, id))).open);
  return kills;
}

async function heardFromAll(store: Store, since: number): Promise<void> {
  await until(
    "every agent is back",
    async () => (await store.read(readFleet)).every(({ last_seen }) => last_seen !== null && last_seen >= since),
    4 * MINUTES,
  );
}

async function judge({ fleet, store, release }: Released, id: number): Promise<void> {
  const { summary, members, rows, sent } = await store.read(async (sql) => ({
    summary: await summaryOf(sql, id),
    members: await membersOf(sql, id, []),
    rows: await readFleet(sql),
    sent: await sql.rows<{ cluster: string; command: string; state: string }>(
      "select k.cluster as cluster, k.command as command, c.state as state from rollout_commands k join commands c on c.id = k.command where k.rollout = $1",
      id,
    ),
  }));
  expect([summary.state, summary.because, exitOfRollout(summary)]).toEqual(["finished", null, 0]);
  const deployed = new Map<string, Deployed>();
  for (const customer of fleet.customers) {
    const one = deployedBy(await fleet.entries(customer));
    expect([customer.cluster, one.command]).toEqual([
      customer.cluster,
      sent.find(({ cluster }) => cluster === customer.cluster)?.command ?? "",
    ]);
    deployed.set(customer.cluster, one);
    expect(imagesOf(fleet, customer)).toEqual(Array(MACHINES).fill(release.digest));
  }
  noLaneSkipped(members, deployed);
  expect(summary.states.healthy).toBe(CLUSTERS.length);
  expect(summary.lanes.map(({ clusters }) => clusters)).toEqual(SIZES);
  // Nobody is fenced, and nothing raised an alarm.
  expect(rows.map(({ cluster, state, epoch, alarms }) => [cluster, state, epoch, alarms])).toEqual(
    CLUSTERS.map((cluster) => [cluster, "ready", 1, []]),
  );
  // A driver that died in between cost time, and no command: each cluster was sent one, and no agent died with it in hand.
  expect(sent.map(({ cluster, state }) => [cluster, state]).sort()).toEqual(
    CLUSTERS.map((cluster) => [cluster, "succeeded"]),
  );
}

type Deployed = { readonly command: string; readonly begun: number; readonly ended: number };

/** A customer's own log, of which no id has two intents, and that has one deploy, which succeeded. Times in milliseconds. */
function deployedBy(entries: readonly Record<string, unknown>[]): Deployed {
  const of = (kind: string) => entries.filter((entry) => entry["kind"] === kind);
  const intents = of("intent").map((entry) => String(entry["command"]));
  expect(new Set(intents).size).toBe(intents.length);
  expect(of("outcome").map((entry) => String(entry["command"]))).toEqual(intents);
  const deploys = of("intent").filter((entry) => entry["action"] === "deploy");
  expect(deploys).toHaveLength(1);
  const outcome = of("outcome").find((entry) => entry["command"] === deploys[0]?.["command"]);
  expect(outcome?.["result"]).toBe("succeeded");
  return {
    command: String(deploys[0]?.["command"]),
    begun: Date.parse(String(deploys[0]?.["time"])),
    ended: Date.parse(String(outcome?.["time"])),
  };
}

/** By the customers' own clocks, which are one here: a lane begins once all before it have succeeded, and were well for the whole soak time. */
function noLaneSkipped(members: readonly Shown[], deployed: ReadonlyMap<string, Deployed>): void {
  const times = SIZES.map((_, lane) =>
    members.filter((member) => member.lane === lane).map(({ cluster }) => deployed.get(cluster)),
  );
  expect(times.map((of) => of.length)).toEqual(SIZES);
  for (const [lane, of] of times.entries()) {
    const ended = Math.max(
      0,
      ...times
        .slice(0, lane)
        .flat()
        .map((one) => one?.ended ?? Number.NaN),
    );
    const begun = Math.min(...of.map((one) => one?.begun ?? Number.NaN));
    const soaked = lane === 0 ? 0 : SOAK_MS;
    expect(begun, `lane ${lane + 1} began ${begun - ended} ms after the last outcome before it`).toBeGreaterThanOrEqual(
      ended + soaked,
    );
  }
}
