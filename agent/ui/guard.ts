import type { Context, Next } from "hono";
import { pageHeaders } from "./headers.ts";

/**
 * What every request is held to before it is looked at, and what every answer says. The server listens on loopback, but browsers there also run others'
 * pages, and names of others may lead there (DNS rebinding).
 */
const HEADERS = pageHeaders({
  "script-src": "'self'",
  "style-src": "'self'",
  "connect-src": "'self'",
  "worker-src": "'self'",
  "trusted-types": "reeve",
});

/** Why a request is not answered, in a word; null when it is well. `port`: the one that we listen on. `page`: what a person may open by its address. */
export function refusedFor(
  request: Request,
  port: number,
  page: boolean,
): "method" | "host" | "origin" | "site" | null {
  const { method, headers } = request;
  if (method !== "GET" && method !== "POST") return "method";
  const host = headers.get("host");
  if (host !== `127.0.0.1:${port}` && host !== `localhost:${port}`) return "host";
  const origin = headers.get("origin");
  if (origin !== null && origin !== `http://${host}`) return "origin";
  // Only a POST has to have one: a browser sends none with a GET of the page's own.
  if (method === "POST" && origin === null) return "origin";
  const site = headers.get("sec-fetch-site");
  // "none": typed, or opened by another program. Absent is refused: every browser that can show the page sends it.
  return site === "same-origin" || (page && site === "none") ? null : "site";
}

const STATUS = { method: 405, host: 421, origin: 403, site: 403 } as const;

/** `port` is asked for when it is known. */
export function guard(port: () => number, pages: ReadonlySet<string>) {
  return async (context: Context, next: Next): Promise<Response | undefined> => {
    const refused = refusedFor(context.req.raw, port(), context.req.method === "GET" && pages.has(context.req.path));
    if (refused === null) await next();
    else context.res = new Response(`refused: ${refused}\n`, { status: STATUS[refused] });
    for (const [name, value] of Object.entries(HEADERS)) context.res.headers.set(name, value);
    return undefined;
  };
}
