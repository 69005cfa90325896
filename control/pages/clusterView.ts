import { html } from "hono/html";
import type { ClusterPage } from "./clusterPage.ts";
import { stateView, witnessedText } from "./fleetView.ts";
import { ageView, factsView, type Html, said, tableView, timeView } from "./html.ts";
import { alarmsView, refusalsView } from "./newsView.ts";

/** `/cluster/NAME`: one cluster, with its manifest, its libraries and what was asked of it. */
export function clusterView(page: ClusterPage): Html {
  const { standing, at } = page;
  const stale =
    standing.state === "not heard from"
      ? html`<p class="fault">This cluster is silent: what stands here is as it was when it was last seen.</p>`
      : "";
  return html`${stale}${factsView([
    ["State", stateView(standing.state)],
    ["Reason", standing.reason === null ? null : said(standing.reason)],
    ["Last seen", standing.last_seen === null ? "never" : ageView(standing.last_seen, at)],
    ["Epoch", standing.epoch === 0 ? "none: never started" : String(standing.epoch)],
    ["Agent", standing.version === null ? "not known" : said(standing.version)],
    ["Log", `${standing.entries} entries were handed in`],
    ["Witnessed", html`${witnessedText(page.witnessed)}${cosignedView(page)}`],
    ["Receipts", `of ${page.witnessed.receipts} entries`],
  ])}
${page.alarms.length === 0 ? "" : html`<h3>Alarms</h3>${alarmsView(page.alarms)}`}
<h3>Manifest</h3>${manifestView(page)}
<h3>Commands</h3>${commandsView(page)}
<h3>Refusals</h3>${refusalsView(page.refusals)}`;
}

function cosignedView({ witnessed: { cosigned } }: ClusterPage): Html | string {
  return cosigned === null ? "" : html`, cosigned here ${timeView(cosigned.at)}`;
}

function manifestView({ manifest, libraries, standing }: ClusterPage): Html {
  if (manifest === null) return html`<p>None was kept: <code>reeve-control manifest import</code>.</p>`;
  const { revision } = manifest;
  return html`${factsView([
    ["Version", manifest.version],
    ["Named", said(manifest.says)],
    ["Manifest", html`<code>${manifest.digest}</code>`],
    ["Checksum", html`<code>${manifest.checksum}</code>`],
    ["Signed by", manifest.signers.length === 0 ? "nobody" : manifest.signers.map(said).join(", ")],
    [
      "Revision",
      html`${revision.position}, ${timeView(revision.at)}, ${said(revision.said_by)}: ${said(revision.why)}`,
    ],
  ])}
${tableView(
  "Images",
  ["Image", "Digest", "Packages"],
  manifest.images.map(({ name, digest, packages }) => [said(name), html`<code>${digest}</code>`, String(packages)]),
)}
<form role="search" aria-label="Libraries" class="filter" action="/cluster/${encodeURIComponent(standing.cluster)}" method="get">
<label>Libraries whose name or version contains <input name="libraries" type="search" value="${libraries.asked}" maxlength="128" autocomplete="off"></label>
<button type="submit">Search</button></form>
<p role="status">${libraries.found} found${libraries.found > libraries.shown.length ? `, the first ${libraries.shown.length} are shown` : ""}</p>
${
  libraries.shown.length === 0
    ? ""
    : tableView(
        "Libraries",
        ["Package", "Image"],
        libraries.shown.map(({ purl, image }) => [said(purl), said(image)]),
      )
}`;
}

function commandsView({ commands }: ClusterPage): Html {
  if (commands.length === 0) return html`<p>None was sent.</p>`;
  const heads = ["Command", "Sent", "Asked", "By", "Became", "Entry"];
  const rows = commands.map((one) => [
    html`<code>${one.command}</code>`,
    timeView(one.sent),
    said(one.subject),
    `${said(one.by)}: ${said(one.why)}`,
    html`<span data-state="${one.state}">${one.state}</span>${one.code === null ? "" : html` <code>${said(one.code)}</code>`}${one.because === null ? "" : html`<span class="reason">${said(one.because)}</span>`}`,
    one.entry === null ? "none" : String(one.entry),
  ]);
  return tableView("The newest commands", heads, rows);
}
