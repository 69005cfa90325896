import { html } from "hono/html";
import { FLEET_STATES, type FleetState } from "../fleet.ts";
import type { FleetFilter, FleetPage } from "./fleetPage.ts";
import { ageView, type Html, said, tableView } from "./html.ts";
import { isUnderWay, type RolloutShown } from "./rollouts.ts";

/** `/`: every cluster by name, fifty at once, with how it stands. */
export function fleetView(page: FleetPage, rollouts: readonly RolloutShown[], alarms: number): Html {
  return html`${statesView(page)}
${newsView(rollouts, alarms)}
${filterView(page.filter)}
${page.clusters.length === 0 ? html`<p role="status">No cluster is so.</p>` : clustersView(page)}
${turnView(page)}`;
}

/** A state's sign stands beside its word: colour alone says nothing. */
const SIGNS: Readonly<Record<FleetState, string>> = {
  ready: "●",
  "suspended by customer": "‖",
  "waiting for approval": "…",
  "refusing everything": "✕",
  "not heard from": "?",
  "never started": "○",
  fenced: "⊗",
};

export function stateView(state: FleetState): Html {
  return html`<span class="state" data-state="${state}"><span aria-hidden="true">${SIGNS[state]}</span> ${state}</span>`;
}

function statesView({ states, filter }: FleetPage): Html {
  const all = Object.values(states).reduce((sum, count) => sum + count, 0);
  const one = (address: string, count: number, words: Html | string, is: boolean): Html =>
    html`<li><a href="${address}"${is ? html` aria-current="true"` : ""}><strong>${count}</strong> ${words}</a></li>`;
  return html`<ul class="states" aria-label="Clusters by state">
${one("/", all, all === 1 ? "cluster" : "clusters", filter.state === null)}
${FLEET_STATES.map((state) => one(addressOf({ state, name: "", page: 1 }), states[state], stateView(state), filter.state === state))}
</ul>`;
}

function newsView(rollouts: readonly RolloutShown[], alarms: number): Html {
  const going = rollouts.filter(isUnderWay);
  return html`${alarms === 0 ? "" : html`<p class="fault"><a href="/alarms">${alarms} ${alarms === 1 ? "alarm stands" : "alarms stand"}</a>: an operator must look.</p>`}
${going.map((rollout) => html`<p><a href="/rollouts">Rollout ${rollout.id} of ${said(rollout.version)}</a> is ${rollout.state}, ${laneText(rollout)}.</p>`)}`;
}

/** `back, lane 2 of 4`. */
export function laneText({ lane, lanes, phase }: RolloutShown): string {
  return `${phase === "back" ? "going back, " : ""}lane ${Math.min(lane + 1, lanes.length)} of ${lanes.length}`;
}

function filterView({ state, name }: FleetFilter): Html {
  const options = ["", ...FLEET_STATES].map(
    (one) =>
      html`<option value="${one}"${one === (state ?? "") ? html` selected` : ""}>${one === "" ? "any" : one}</option>`,
  );
  return html`<form role="search" aria-label="Clusters" class="filter" action="/" method="get">
<label>State <select name="state">${options}</select></label>
<label>Name contains <input name="name" type="search" value="${name}" maxlength="64" autocomplete="off"></label>
<button type="submit">Show</button></form>`;
}

function clustersView({ at, clusters }: FleetPage): Html {
  const heads = ["Cluster", "State", "Last seen", "Epoch", "Agent", "Open commands", "Log", "Witnessed", "Alarms"];
  const rows = clusters.map((one) => [
    html`<a href="/cluster/${encodeURIComponent(one.cluster)}">${said(one.cluster)}</a>`,
    html`${stateView(one.state)}${one.reason === null ? "" : html`<span class="reason">${said(one.reason)}</span>`}`,
    one.last_seen === null ? "never" : ageView(one.last_seen, at),
    one.epoch === 0 ? "none" : String(one.epoch),
    one.version === null ? "not known" : said(one.version),
    String(one.open_commands),
    `${one.entries} entries`,
    witnessedText(one.witnessed),
    String(one.alarms),
  ]);
  return html`${tableView("Clusters", heads, rows)}
<p class="hint">What stands beside a cluster that is not heard from is what it was when it was last seen.</p>`;
}

export function witnessedText({ cosigned, missing }: FleetPage["clusters"][number]["witnessed"]): string {
  const head = cosigned === null ? "no head" : `head of ${cosigned.size}`;
  return missing === null ? head : `${head}; no receipt of entry ${missing}`;
}

function turnView({ filter, found, pages }: FleetPage): Html {
  const at = filter.page;
  const turn = (to: number, rel: "prev" | "next", words: string): Html =>
    html`<a rel="${rel}" href="${addressOf({ ...filter, page: to })}">${words}</a> `;
  return html`<nav class="turn" aria-label="Pages of clusters"><p role="status">Page ${at} of ${pages}, ${found} found</p>
<p>${at > 1 ? turn(at - 1, "prev", "Previous") : ""}${at < pages ? turn(at + 1, "next", "Next") : ""}</p></nav>`;
}

function addressOf({ state, name, page }: FleetFilter): string {
  const query = new URLSearchParams({
    ...(state === null ? {} : { state }),
    ...(name === "" ? {} : { name }),
    ...(page === 1 ? {} : { page: String(page) }),
  });
  return query.size === 0 ? "/" : `/?${query}`;
}
