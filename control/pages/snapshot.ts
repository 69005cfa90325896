import { type Alarm, newestAlarms } from "../alarms.ts";
import type { FleetState } from "../fleet.ts";
import { type Refusals, readRefusals, readRefusalTotals } from "../refusals.ts";
import type { CommandState, Store } from "../store.ts";
import { MAX_ALARMS } from "./limits.ts";
import { countRollouts, type RolloutShown, readRollouts } from "./rollouts.ts";
import { countAlarms, countCommands, countStates, oldestHanded, readStandings, type Standing } from "./standings.ts";

/** The whole fleet at one moment, of one transaction. */
export type Snapshot = {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly standings: readonly Standing[];
  readonly states: Readonly<Record<FleetState, number>>;
  readonly commands: ReadonlyMap<CommandState, number>;
  readonly oldestHanded: number | null;
  readonly alarms: ReadonlyMap<string, number>;
  /** The newest that stand, one of each cluster and kind, at most MAX_ALARMS. */
  readonly standing: readonly Alarm[];
  readonly refusals: readonly Refusals[];
  readonly refusalTotals: ReadonlyMap<string, number>;
  readonly rollouts: readonly RolloutShown[];
  readonly rolloutStates: ReadonlyMap<string, number>;
};
/** However many look, the store is asked this often: agents' calls wait while it is. */
export const SNAPSHOT_SECONDS = 2;

/** What is not older than SNAPSHOT_SECONDS, read once for all who ask at once. */
export function snapshots(store: Store): () => Promise<Snapshot> {
  let newest: { readonly since: number; readonly read: Promise<Snapshot> } | null = null;
  return () => {
    const now = performance.now();
    if (newest === null || now - newest.since > SNAPSHOT_SECONDS * 1000) {
      const mine = { since: now, read: readSnapshot(store) };
      // One that failed is asked for again by the next.
      mine.read.catch(() => {
        if (newest === mine) newest = null;
      });
      newest = mine;
    }
    return newest.read;
  };
}

function readSnapshot(store: Store): Promise<Snapshot> {
  return store.read(async (sql) => {
    const standings = await readStandings(sql);
    return {
      at: Date.now(),
      standings,
      states: countStates(standings),
      commands: await countCommands(sql),
      oldestHanded: await oldestHanded(sql),
      alarms: await countAlarms(sql),
      standing: await newestAlarms(sql, null, MAX_ALARMS),
      refusals: await readRefusals(sql, null),
      refusalTotals: await readRefusalTotals(sql),
      rollouts: await readRollouts(sql),
      rolloutStates: await countRollouts(sql),
    };
  });
}
