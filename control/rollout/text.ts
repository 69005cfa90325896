import { table } from "../terminal.ts";
import type { Shown, Summary } from "./read.ts";
import { CLUSTER_STATES, type ClusterState } from "./schema.ts";

/** `finished, 3 left behind`. */
export function stateText({ state, phase, left_behind, because, states }: Summary): string {
  const what = phase === "forward" ? state : backText(state);
  const left = left_behind > 0 ? `, ${left_behind} left behind` : "";
  const failed = states.failed > 0 && state === "finished" ? `, ${states.failed} failed` : "";
  return `${what}${left}${failed}${because === null ? "" : `: ${because}`}`;
}

function backText(state: Summary["state"]): string {
  if (state === "running") return "going back";
  return state === "finished" ? "went back" : `${state}, going back`;
}

function countsText(states: Readonly<Record<ClusterState, number>>): string {
  const parts = CLUSTER_STATES.filter((state) => states[state] > 0).map((state) => `${states[state]} ${state}`);
  return parts.length === 0 ? "-" : parts.join(", ");
}

/** One line, as `watch` prints where there is no terminal. */
export function lineOf(summary: Summary): string {
  const { rollout, lane, lanes, states } = summary;
  return `rollout ${rollout}: ${stateText(summary)}; lane ${lane} of ${lanes.length} (${lanes[lane - 1]?.percent ?? 100} %); ${countsText(states)}`;
}

export function summaryText(summary: Summary): string {
  const { rollout, says, version, checksum, by, why, lanes, lane, state } = summary;
  const head = [
    `rollout   ${rollout}: ${stateText(summary)}`,
    `release   ${says} (${version})`,
    `checksum  ${checksum}`,
    `by        ${by}: ${why}`,
    "",
  ];
  const begun = state === "finished" ? lanes.length : lane;
  const rows = lanes.map((one, at) => [
    `${at + 1 === lane && state === "running" ? "> " : "  "}${one.percent} %`,
    String(one.clusters),
    at < begun ? countsText(one.states) : "not begun",
  ]);
  return `${head.map((line) => table([[line]], [])).join("")}${table([["  lane", "clusters", "states"], ...rows], [])}`;
}

export function listText(all: readonly Summary[]): string {
  if (all.length === 0) return "no rollout yet\n";
  const rows = all.map((one) => [
    String(one.rollout),
    stateText(one),
    `${one.lane} of ${one.lanes.length}`,
    String(one.clusters),
    `${one.says} (${one.version})`,
  ]);
  return table([["rollout", "state", "lane", "clusters", "release"], ...rows], []);
}

export function membersText(rows: readonly Shown[]): string {
  if (rows.length === 0) return "";
  const lines = rows.map(({ cluster, lane, canary, state, code, attempts }) => [
    cluster,
    `${lane + 1}${canary === 1 ? ", canary" : ""}`,
    state,
    code ?? "-",
    String(attempts),
  ]);
  return `\n${table([["cluster", "lane", "state", "why", "attempts"], ...lines], [])}`;
}
