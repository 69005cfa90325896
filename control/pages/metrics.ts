import { counter, type Family, gauge, type Sample } from "../../agent/wire/exposition.ts";
import { FLEET_STATES } from "../fleet.ts";
import { CLUSTER_STATES, type RolloutState } from "../rollout/schema.ts";
import { COMMAND_STATES } from "../store.ts";
import { BUCKETS_SECONDS, type Counts, type Histogram } from "./counts.ts";
import { isUnderWay } from "./rollouts.ts";
import type { Snapshot } from "./snapshot.ts";

/**
 * The control plane's numbers for `/metrics`. Sums always; by cluster a state, a time and its alarms, three series each, as long as the clusters are
 * at most MAX_CLUSTER_SERIES: beyond that only the sums, and how many were left out. A state's series is there while the cluster is in it.
 */
export const MAX_CLUSTER_SERIES = 10_000;
const ROLLOUT_STATES: readonly RolloutState[] = ["running", "paused", "stopped", "aborted", "finished"];
/** How long ago clusters were seen: two minutes are silence. */
const AGES_SECONDS = [30, 60, 120, 600, 3600, 21_600, 86_400, 604_800] as const;

export function fleetMetrics(snapshot: Snapshot, counts: Counts): Family[] {
  const { states, commands, alarms, refusalTotals } = snapshot;
  return [
    gauge(
      "reeve_clusters",
      "Clusters by state.",
      FLEET_STATES.map((state) => labelled({ state }, states[state])),
    ),
    ages(snapshot),
    ...byCluster(snapshot),
    gauge(
      "reeve_commands",
      "Commands by state, of all clusters.",
      COMMAND_STATES.map((state) => labelled({ state }, commands.get(state) ?? 0)),
    ),
    gauge(
      "reeve_commands_oldest_handed_timestamp_seconds",
      "When the oldest command that an agent has in hand was handed out.",
      snapshot.oldestHanded === null ? [] : [{ value: snapshot.oldestHanded }],
      "seconds",
    ),
    counter(
      "reeve_refusals",
      "Refusals that agents handed in, by code.",
      [...refusalTotals].map(([code, value]) => labelled({ code }, value)),
    ),
    gauge(
      "reeve_alarms",
      "Alarms that stand, by kind.",
      [...alarms].map(([kind, value]) => labelled({ kind }, value)),
    ),
    ...ofRollouts(snapshot),
    ...ofThisProcess(counts),
  ];
}

function labelled(labels: Readonly<Record<string, string>>, value: number): Sample {
  return { labels, value };
}

function byCluster({ standings }: Snapshot): Family[] {
  const shown = standings.length > MAX_CLUSTER_SERIES ? [] : standings;
  const seen = shown.filter(({ last_seen }) => last_seen !== null);
  return [
    gauge("reeve_cluster_series_left_out", "Clusters that have no series of their own: there are too many.", [
      { value: standings.length - shown.length },
    ]),
    gauge(
      "reeve_cluster_state",
      "1 for the state that a cluster is in.",
      shown.map(({ cluster, state }) => labelled({ cluster, state }, 1)),
    ),
    gauge(
      "reeve_cluster_last_seen_timestamp_seconds",
      "When a cluster was last heard from.",
      seen.map(({ cluster, last_seen }) => labelled({ cluster }, last_seen ?? 0)),
      "seconds",
    ),
    gauge(
      "reeve_cluster_alarms",
      "Alarms of a cluster that stand.",
      shown.map(({ cluster, alarms }) => labelled({ cluster }, alarms)),
    ),
  ];
}

function ages({ standings, at }: Snapshot): Family {
  const seconds = standings.flatMap(({ last_seen }) =>
    last_seen === null ? [] : [Math.max(0, Math.round(at / 1000) - last_seen)],
  );
  const total = seconds.reduce((all, one) => all + one, 0);
  const below = (most: number): number => seconds.filter((one) => one <= most).length;
  return {
    name: "reeve_cluster_last_seen_age_seconds",
    type: "gaugehistogram",
    unit: "seconds",
    help: "How long ago the clusters that have ever started were heard from.",
    samples: [
      ...AGES_SECONDS.map((most) => ({ ...labelled({ le: `${most}.0` }, below(most)), suffix: "_bucket" })),
      { ...labelled({ le: "+Inf" }, seconds.length), suffix: "_bucket" },
      { value: seconds.length, suffix: "_gcount" },
      { value: total, suffix: "_gsum" },
    ],
  };
}

function ofRollouts({ rollouts, rolloutStates }: Snapshot): Family[] {
  const underWay = rollouts.filter(isUnderWay);
  const lanes = underWay.flatMap(({ id, lanes: list }) =>
    list.flatMap(({ lane, states }) =>
      CLUSTER_STATES.map((state) =>
        labelled({ rollout: String(id), lane: String(lane + 1), state }, states[state] ?? 0),
      ),
    ),
  );
  return [
    gauge(
      "reeve_rollouts",
      "Rollouts by state.",
      ROLLOUT_STATES.map((state) => labelled({ state }, rolloutStates.get(state) ?? 0)),
    ),
    gauge("reeve_rollout_lane_clusters", "Clusters of the rollouts that are not over, by lane and state.", lanes),
    gauge(
      "reeve_rollout_silent_clusters",
      "Clusters that a rollout which is not over has touched, and of which nothing is heard now.",
      underWay.map(({ id, silent }) => labelled({ rollout: String(id) }, silent)),
    ),
  ];
}

function ofThisProcess(counts: Counts): Family[] {
  const words = (key: string): readonly string[] => key.split(" ");
  const requests = [...counts.requests].map(([key, value]) => {
    const [listener = "", route = "", status = ""] = words(key);
    return labelled({ listener, route, status }, value);
  });
  const durations = [...counts.durations].flatMap(([key, histogram]) => {
    const [listener = "", route = ""] = words(key);
    return samplesOf(histogram, { listener, route });
  });
  return [
    gauge("reeve_start_timestamp_seconds", "When this process started.", [{ value: counts.since / 1000 }], "seconds"),
    gauge("reeve_long_polls_held", "Polls of agents that are answered later.", [{ value: counts.held }]),
    counter("reeve_http_requests", "Requests that were answered, by listener, route and status.", requests),
    {
      name: "reeve_http_request_duration_seconds",
      type: "histogram",
      unit: "seconds",
      help: "How long requests took; a poll that is held takes as long as it is held.",
      samples: durations,
    },
    counter(
      "reeve_store_transactions",
      "Transactions of the store, by outcome.",
      [...counts.transactions].map(([outcome, value]) => labelled({ outcome }, value)),
    ),
    {
      name: "reeve_store_transaction_duration_seconds",
      type: "histogram",
      unit: "seconds",
      help: "How long transactions took, with the wait for their turn.",
      samples: samplesOf(counts.transactionTimes, {}),
    },
  ];
}

function samplesOf({ buckets, sum, count }: Histogram, labels: Readonly<Record<string, string>>): Sample[] {
  let below = 0;
  const bounds = [...BUCKETS_SECONDS.map((most) => (Number.isInteger(most) ? `${most}.0` : String(most))), "+Inf"];
  return [
    ...bounds.map((le, at) => {
      below += buckets[at] ?? 0;
      return { ...labelled({ ...labels, le }, below), suffix: "_bucket" };
    }),
    { labels, value: count, suffix: "_count" },
    { labels, value: sum, suffix: "_sum" },
  ];
}
