import type { Http2Bindings, HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { OPEN_METRICS_TYPE, openMetrics } from "../../agent/wire/exposition.ts";
import { Faulted } from "../fault.ts";
import { holders } from "../manifest/inventory.ts";
import type { Store } from "../store.ts";
import { sayTrouble } from "../terminal.ts";
import type { PagesOptions } from "./access.ts";
import { PAGE_CSS } from "./assets.ts";
import { type ClusterPage, readClusterPage } from "./clusterPage.ts";
import { clusterView } from "./clusterView.ts";
import type { Counts } from "./counts.ts";
import { filterFrom, readFleetPage } from "./fleetPage.ts";
import { fleetView } from "./fleetView.ts";
import { guard } from "./guard.ts";
import { type Html, shell } from "./html.ts";
import { type HoldersPage, holdersOf, librariesView } from "./librariesView.ts";
import { PREFIX_MIN_CHARS } from "./limits.ts";
import { fleetMetrics } from "./metrics.ts";
import { alarmsView, refusalsView, rolloutsView } from "./newsView.ts";
import { snapshots } from "./snapshot.ts";

type Env = { readonly Bindings: HttpBindings | Http2Bindings };
type Call = Context<Env>;
export type PagesDeps = PagesOptions & {
  readonly store: Store;
  readonly counts: Counts;
  /** Asked for when a request is there. */
  port(): number;
};

const SHORT_PREFIX = `at least ${PREFIX_MIN_CHARS} characters before *`;

/**
 * The fleet for people (HTML), for programs (`/api/…`, the same as JSON) and for collectors (`/metrics`). It reads and never writes; no path of
 * it leads to a file, and nothing that it shows runs.
 */
export function pagesApp({ store, counts, access, at, port }: PagesDeps): Hono<Env> {
  const app = new Hono<Env>();
  const snapshot = snapshots(store);
  app.use(guard(access, at, port));

  const fleet = async (c: Call) => {
    const filter = filterFrom(c.req.query());
    if (filter === null) return null;
    const now = await snapshot();
    return { now, page: await store.read((sql) => readFleetPage(sql, now, filter)) };
  };
  const cluster = async (c: Call): Promise<ClusterPage | null> => {
    const now = await snapshot();
    const asked = (c.req.query("libraries") ?? "").slice(0, 128);
    return store.read((sql) => readClusterPage(sql, now, c.req.param("name") ?? "", asked));
  };
  const libraries = async (c: Call): Promise<HoldersPage | null> => {
    const [name, version] = [word(c, "name", 200), word(c, "version", 100)];
    if (name === "") return holdersOf("", version, []);
    // Nearly every package of every cluster: asked by the command line, beside which agents are not held up.
    if (name.endsWith("*") && name.length <= PREFIX_MIN_CHARS) return null;
    const found = await store.read((sql) => holders(sql, name, version === "" ? null : version));
    return holdersOf(name, version, found);
  };

  app.get("/", async (c) => {
    const found = await fleet(c);
    if (found === null) return c.text("there is no such state or page\n", 400);
    const { now, page } = found;
    return show(c, "Clusters", "/", now.at, fleetView(page, now.rollouts, sum(now.alarms)));
  });
  app.get("/cluster/:name", async (c) => {
    const page = await cluster(c);
    return page === null ? nothing(c) : show(c, page.standing.cluster, "", page.at, clusterView(page));
  });
  app.get("/rollouts", async (c) => {
    const { at: then, rollouts } = await snapshot();
    return show(c, "Rollouts", "/rollouts", then, rolloutsView(rollouts));
  });
  app.get("/alarms", async (c) => {
    const { at: then, standing, refusals } = await snapshot();
    return show(c, "Alarms and refusals", "/alarms", then, [alarmsView(standing), refusalsView(refusals)]);
  });
  app.get("/libraries", async (c) => {
    const page = await libraries(c);
    return page === null
      ? c.text(`${SHORT_PREFIX}\n`, 400)
      : show(c, "Libraries", "/libraries", Date.now(), librariesView(page));
  });
  app.get("/page.css", (c) => c.body(PAGE_CSS, 200, { "content-type": "text/css; charset=utf-8" }));

  app.get("/api/fleet", async (c) => {
    const found = await fleet(c);
    return found === null ? c.json({ error: "there is no such state or page" }, 400) : c.json(found.page);
  });
  app.get("/api/cluster/:name", async (c) => {
    const page = await cluster(c);
    return page === null ? c.json({ error: "there is no such cluster" }, 404) : c.json(page);
  });
  app.get("/api/rollouts", async (c) => {
    const { at: then, rollouts } = await snapshot();
    return c.json({ at: then, rollouts });
  });
  app.get("/api/alarms", async (c) => {
    const { at: then, standing, refusals } = await snapshot();
    return c.json({ at: then, alarms: standing, refusals });
  });
  app.get("/api/libraries", async (c) => {
    const page = await libraries(c);
    return page === null ? c.json({ error: SHORT_PREFIX }, 400) : c.json(page);
  });

  app.get("/metrics", async (c) =>
    c.body(openMetrics(fleetMetrics(await snapshot(), counts)), 200, { "content-type": OPEN_METRICS_TYPE }),
  );
  app.notFound(nothing);
  app.onError((error, c) => {
    if (error instanceof Faulted) return c.text(`refused: ${error.message}\n`, 403);
    sayTrouble("a page failed", error);
    return c.text("this did not work; try again\n", 500);
  });
  return app;
}

function show(
  c: Call,
  title: string,
  view: string,
  at: number,
  main: Html | readonly Html[],
): Response | Promise<Response> {
  const address = new URL(c.req.url);
  const renew = address.searchParams.get("renew");
  // Only where a person has asked for it, and can end it on the page.
  if (/^[1-9]\d{1,3}$/.test(renew ?? "")) c.header("refresh", renew ?? "");
  return c.html(shell({ title, view, address, at }, main));
}

function nothing(c: Call): Response {
  return c.text("there is nothing here\n", 404);
}

function word(c: Call, name: string, most: number): string {
  return (c.req.query(name) ?? "").trim().slice(0, most);
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((all, count) => all + count, 0);
}
