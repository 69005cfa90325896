import type { Http2Bindings, HttpBindings } from "@hono/node-server";
import type { Context, Next } from "hono";
import { pageHeaders } from "../../agent/ui/headers.ts";
import { presented } from "../listeners.ts";
import { type Access, notAPerson, type PagesPlace } from "./access.ts";

type Call = Context<{ Bindings: HttpBindings | Http2Bindings }>;
type Refused = { readonly status: 401 | 403 | 405 | 421; readonly why: string };
/** No script runs in these pages: there is none, and the browser is told that there is none. */
const HEADERS = pageHeaders({ "style-src": "'self'", "form-action": "'self'", "trusted-types": "'none'" });
const MAX_WHO = 256;

/** Every request is held to who asks before it is looked at, and every answer says what a browser may do with it. `port`: asked for when it is known. */
export function guard(access: Access, at: PagesPlace, port: () => number) {
  return async (c: Call, next: Next): Promise<Response | undefined> => {
    const refused = refusedFor(c, access, at, port);
    if (refused === null) await next();
    else c.res = new Response(`refused: ${refused.why}\n`, { status: refused.status });
    for (const [name, value] of Object.entries(HEADERS)) c.res.headers.set(name, value);
    return undefined;
  };
}

function refusedFor(c: Call, access: Access, at: PagesPlace, port: () => number): Refused | null {
  if (c.req.method !== "GET" && c.req.method !== "HEAD")
    return { status: 405, why: "this only shows; it takes GET and HEAD" };
  const who = access.by === "certificate" ? byCertificate(c) : byProxy(c, access.header, at, port);
  if (who !== null) return who;
  // Another site may lead here by a link, and have nothing else of this.
  const site = c.req.header("sec-fetch-site") ?? "none";
  if (site !== "same-origin" && site !== "none" && c.req.header("sec-fetch-mode") !== "navigate")
    return { status: 403, why: "another site asks" };
  return null;
}

function byCertificate(c: Call): Refused | null {
  const why = notAPerson(presented(c).raw, Date.now());
  return why === null ? null : { status: 403, why };
}

/** A page of others may lead a browser on this machine here by a name of its own (DNS rebinding): only our own addresses are answered. */
function byProxy(c: Call, header: string, at: PagesPlace, port: () => number): Refused | null {
  const hosts = all(c, "host");
  const ours = "socket" in at ? ["localhost"] : ["127.0.0.1", "localhost", "[::1]"].map((host) => `${host}:${port()}`);
  if (hosts.length !== 1 || !ours.includes(hosts[0] ?? ""))
    return { status: 421, why: `the Host is not ${ours.join(" or ")}` };
  const said = all(c, header);
  if (said.length !== 1 || (said[0] ?? "").trim() === "" || (said[0] ?? "").length > MAX_WHO)
    return { status: 401, why: `the proxy says nobody's name, or more than one, in ${header}` };
  return null;
}

/** Each time a header came, as it came: joined together, two would look like one. */
function all(c: Call, name: string): string[] {
  const { rawHeaders } = c.env.incoming;
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name);
}
