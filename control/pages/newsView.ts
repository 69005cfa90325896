import { html } from "hono/html";
import type { Alarm } from "../alarms.ts";
import type { Refusals } from "../refusals.ts";
import { laneText } from "./fleetView.ts";
import { type Html, said, tableView, timeView } from "./html.ts";
import type { RolloutShown } from "./rollouts.ts";

export function alarmsView(alarms: readonly Alarm[]): Html {
  if (alarms.length === 0) return html`<p>None stands.</p>`;
  const rows = alarms.map(({ cluster, kind, words, at, id }) => [
    html`<a href="/cluster/${encodeURIComponent(cluster)}">${said(cluster)}</a>`,
    kind,
    said(words),
    timeView(at),
    html`<code>${id}</code>`,
  ]);
  return tableView("Alarms that stand, oldest first", ["Cluster", "Kind", "What", "Since", "Name"], rows);
}

export function refusalsView(refusals: readonly Refusals[]): Html {
  if (refusals.length === 0) return html`<p>None in the last 7 days.</p>`;
  const rows = refusals.map(({ code, field, day, week }) => [
    html`<code>${code}</code>`,
    field === "" ? "none named" : field,
    String(day),
    String(week),
  ]);
  return tableView("Refusals that agents handed in", ["Code", "Field", "Last day", "Last 7 days"], rows);
}

/** `/rollouts`: each lane with its clusters by state. */
export function rolloutsView(rollouts: readonly RolloutShown[]): Html {
  if (rollouts.length === 0) return html`<p>There is none.</p>`;
  return html`${rollouts.map(
    (
      rollout,
    ) => html`<section aria-label="Rollout ${rollout.id}"><h3>Rollout ${rollout.id}: ${said(rollout.version)}</h3>
<p>${rollout.state}, ${laneText(rollout)}, started ${timeView(rollout.started)} by ${said(rollout.by)}: ${said(rollout.why)}<br>
checksum <code>${rollout.checksum}</code></p>
${rollout.because === null ? "" : html`<p class="fault">It stopped: ${said(rollout.because)}</p>`}
${rollout.silent === 0 ? "" : html`<p class="fault">${silentText(rollout.silent)}</p>`}
${tableView(`Lanes of rollout ${rollout.id}`, ["Lane", "Up to", "Healthy", "Clusters", "By state"], rollout.lanes.map(laneRow))}</section>`,
  )}`;
}

function silentText(silent: number): string {
  return `${silent} ${silent === 1 ? "cluster that it touched is" : "clusters that it touched are"} not heard from any more.`;
}

function laneRow({ lane, percent, clusters, states }: RolloutShown["lanes"][number]): (Html | string)[] {
  const healthy = states.healthy ?? 0;
  const parts = Object.entries(states).map(([state, count]) => `${count} ${state}`);
  return [
    String(lane + 1),
    `${percent} %`,
    html`<progress max="${Math.max(1, clusters)}" value="${healthy}" aria-label="Healthy in lane ${lane + 1}"></progress> ${healthy}`,
    String(clusters),
    parts.join(", "),
  ];
}
