import { html } from "hono/html";
import type { Holding } from "../manifest/inventory.ts";
import { type Html, said, tableView } from "./html.ts";

export const HOLDINGS_SHOWN = 500;
/** Which clusters hold a library: `/libraries` and `/api/libraries`. `name` is empty when nothing was asked. */
export type HoldersPage = {
  readonly name: string;
  readonly version: string;
  readonly clusters: number;
  readonly found: number;
  /** At most HOLDINGS_SHOWN. */
  readonly shown: readonly Holding[];
};

export function holdersOf(name: string, version: string, found: readonly Holding[]): HoldersPage {
  const clusters = new Set(found.map(({ cluster }) => cluster)).size;
  return { name, version, clusters, found: found.length, shown: found.slice(0, HOLDINGS_SHOWN) };
}

export function librariesView(page: HoldersPage): Html {
  const { name, version, shown, found, clusters } = page;
  return html`<form role="search" aria-label="Libraries" class="filter" action="/libraries" method="get">
<label>Name <input name="name" type="search" value="${name}" maxlength="200" autocomplete="off" required></label>
<label>Version <input name="version" type="search" value="${version}" maxlength="100" autocomplete="off"></label>
<button type="submit">Which clusters?</button></form>
<p class="hint">By each cluster's newest manifest. A name is exact, or ends with * for what it begins with; 3.0.11 is also what a distribution made of it.</p>
${name === "" ? "" : html`<p role="status">${clusters} ${clusters === 1 ? "cluster" : "clusters"}${found > shown.length ? `, the first ${shown.length} of ${found} lines are shown` : ""}</p>`}
${
  shown.length === 0
    ? ""
    : tableView(
        "Clusters that hold it",
        ["Cluster", "Image", "Version", "Package"],
        shown.map((one) => [
          html`<a href="/cluster/${encodeURIComponent(one.cluster)}">${said(one.cluster)}</a>`,
          said(one.image),
          said(one.version),
          said(one.purl),
        ]),
      )
}`;
}
