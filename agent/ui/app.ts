import { Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { CHECKPOINTS, COSIGNED, readCheckpoints, segmentsIn } from "../audit/folder.ts";
import type { Disk } from "../host/host.ts";
import { PAGE } from "./assets.ts";
import { guard } from "./guard.ts";
import { bytesOf } from "./lines.ts";
import { filterFrom } from "./query.ts";
import { MAX_ROWS, rowsFrom } from "./rows.ts";
import type { Session } from "./session.ts";
import type { NamedWitness, Place, ShownPolicy } from "./shapes.ts";

const COOKIE = "reeve_ui";
const KEY_HEADER = "x-reeve-key";
const TOKEN_HEADER = "x-reeve-token";
const VIEWS = ["/", "/policy"];

export type UiDeps = {
  readonly disk: Disk;
  /** The log's. */
  readonly folder: string;
  readonly session: Session;
  /** PEM of the CA that must vouch for the log's keys; null when none was given. */
  readonly ca: string | null;
  readonly witnesses: readonly NamedWitness[];
  /** The policy in force and older ones that were named, read anew. */
  policies(): ShownPolicy;
  /** Asked for when a request is there. */
  port(): number;
};

/** The page and what it reads, all of it read-only: nothing here takes a path, and nothing changes a file. */
export function uiApp(deps: UiDeps): Hono {
  const { disk, folder, session } = deps;
  const app = new Hono();
  app.use(guard(deps.port, new Set(VIEWS)));
  for (const view of VIEWS) app.get(view, (context) => context.html(PAGE.html));
  app.get("/page.css", (context) => context.body(PAGE.css, 200, { "content-type": "text/css; charset=utf-8" }));
  for (const name of ["page", "worker"] as const)
    app.get(`/${name}.js`, (context) =>
      context.body(PAGE[name], 200, { "content-type": "text/javascript; charset=utf-8" }),
    );

  app.post("/session", (context) => {
    const opened = session.open(context.req.header(TOKEN_HEADER) ?? "");
    if (opened === null) return context.json({ error: "this address has been used, or is of another run" }, 403);
    setCookie(context, COOKIE, opened.cookie, { httpOnly: true, sameSite: "Strict", path: "/" });
    return context.json({ key: opened.key });
  });

  app.use("/api/*", async (context, next) => {
    if (!session.holds(getCookie(context, COOKIE), context.req.header(KEY_HEADER)))
      return context.json({ error: "no session" }, 401);
    await next();
    return undefined;
  });
  app.get("/api/rows", (context) => {
    const query = filterFrom(context.req.query());
    if ("fault" in query) return context.json({ error: query.fault }, 400);
    return context.json(rowsFrom(disk, folder, placeOf(context.req.query("before")), query.filter, MAX_ROWS));
  });
  app.get("/api/heads", (context) => {
    // Heads before segments: what is read afterwards covers at least what they do.
    const files = [CHECKPOINTS, COSIGNED].map((name) => readCheckpoints(disk, folder, name));
    const notes = files.flatMap((file) => file.notes);
    const bad = files.some((file) => file.bad !== null);
    return context.json({ notes, bad, segments: segmentsIn(disk, folder), ca: deps.ca, witnesses: deps.witnesses });
  });
  app.get("/api/lines", (context) => {
    const segment = segmentsIn(disk, folder).find((first) => String(first) === context.req.query("segment"));
    if (segment === undefined) return context.json({ error: "there is no such segment" }, 404);
    return context.body(streamOf(bytesOf(disk, folder, segment)), 200, { "content-type": "application/x-ndjson" });
  });
  app.get("/api/policy", (context) => context.json(deps.policies()));
  app.notFound((context) => context.text("there is nothing here\n", 404));
  return app;
}

/** A piece is read when the one before has been taken: nothing piles up. */
function streamOf(pieces: Generator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      const next = pieces.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    cancel: () => void pieces.return(undefined),
  });
}

/** `SEGMENT:OFFSET`, as an answer named it; anything else begins at the newest line. */
function placeOf(text: string | undefined): Place | null {
  const [, segment, offset] = /^(\d{1,15}):(\d{1,15})$/.exec(text ?? "") ?? [];
  return segment === undefined || offset === undefined ? null : { segment: Number(segment), offset: Number(offset) };
}
