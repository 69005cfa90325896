/** The front of one API: takes requests apart by Google's own description, asks IAM, answers, and lets what can go wrong go wrong. */

import { randomBytes } from "node:crypto";
import { createServer as createPlain, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTls } from "node:https";
import type { Fault } from "../../aws/world/faults.ts";
import type { Api, Json, Method, Structure } from "./discovery.ts";
import { asked, guarded } from "./iam.ts";
import { type Listening, listening } from "./listening.ts";
import { errorBody, type Made, type Service, ServiceError } from "./made.ts";

export type Moment = "before" | "after";
export type Front = {
  readonly service: Service;
  readonly api: Api;
  answer(made: Made): Structure | Promise<Structure>;
  account(token: string): string | null;
  authorize(made: Made): void;
  strike(made: Made): readonly Fault[];
  between(made: Made, moment: Moment): Promise<void>;
  record(made: Made): void;
  problem(words: string): void;
};
export type Identity = { readonly key: string; readonly cert: string };

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** HTTP status of an error by Google's word for it. */
const HTTP: Readonly<Record<string, number>> = {
  rateLimitExceeded: 403,
  userRateLimitExceeded: 403,
  quotaExceeded: 403,
  RESOURCE_EXHAUSTED: 429,
  UNAVAILABLE: 503,
  backendError: 503,
  INTERNAL: 500,
  internalError: 500,
  notFound: 404,
  NOT_FOUND: 404,
  resourceNotReady: 400,
  FAILED_PRECONDITION: 400,
  conditionNotMet: 412,
  UNAUTHENTICATED: 401,
  authError: 401,
  forbidden: 403,
  PERMISSION_DENIED: 403,
  accessNotConfigured: 403,
  DEADLINE_EXCEEDED: 504,
};

async function madeOf(
  front: Front,
  incoming: IncomingMessage,
  method: Method,
  parts: Made["parts"],
  url: URL,
): Promise<Made> {
  const text = (await bodyOf(incoming)).toString("utf8");
  let body: Json | undefined;
  try {
    // A method without a request message: Google's client for Node sends the JSON of an empty text.
    body = text === "" || (text === '""' && method.request === undefined) ? undefined : (JSON.parse(text) as Json);
  } catch {
    throw new ServiceError(400, "parseError", "Invalid JSON payload received.");
  }
  const wrong = [
    ...front.api.wrongQuery(method, url.searchParams),
    // A POST without a request message: Google takes an empty one.
    ...(method.request === undefined && (body === undefined || JSON.stringify(body) === "{}")
      ? []
      : front.api.wrong(method.request, body)),
  ];
  if (wrong.length > 0) {
    front.problem(`${method.id}: ${wrong.join("; ")}`);
    throw new ServiceError(400, "invalid", wrong.join("; "));
  }
  const token = /^Bearer (\S+)$/.exec(incoming.headers.authorization ?? "")?.[1] ?? "";
  const made: Made = {
    id: randomBytes(7).toString("hex"),
    at: Date.now(),
    service: front.service,
    operation: method.id,
    httpMethod: method.httpMethod,
    path: url.pathname,
    parts,
    query: Object.fromEntries(url.searchParams),
    body: (body ?? {}) as Structure,
    userAgent: incoming.headers["user-agent"] ?? "",
    principal: front.account(token),
    permissions: [],
    reached: false,
    changed: false,
    error: null,
    message: null,
    http: 0,
    result: null,
    heard: false,
    about: aboutOf(front.service, parts, url),
    longRunning: null,
  };
  const permissions = asked(made);
  if (permissions === null) front.problem(`nobody told the world what ${made.operation} needs`);
  made.permissions = permissions ?? [["unknown", guarded(made)]];
  return made;
}

/** The resource as the audit log names it. */
function aboutOf(service: Service, parts: Made["parts"], url: URL): string {
  if (service === "compute")
    return url.pathname.replace(/^\/compute\/v1\//, "").replace(/\/(?:resize|listManagedInstances)$/, "");
  if (service === "dns") return `managedZones/${parts["managedZone"] ?? parts["managedZonesId"]}`;
  return url.pathname.replace(/^\/v\d\//, "").replace(/:\w+$/, "");
}

function send(response: ServerResponse, http: number, body: string, type = "application/json; charset=UTF-8"): void {
  response.writeHead(http, { "content-type": type, "x-content-type-options": "nosniff" }).end(body);
}

/** What is answered in place of the service's own answer; false: nothing is. */
function instead(fault: Fault, response: ServerResponse, body: string): boolean {
  switch (fault.kind) {
    case "drop":
      response.socket?.destroy();
      return true;
    case "page":
      send(response, fault.status, "<html><title>Error</title></html>", "text/html");
      return true;
    case "truncate":
      response
        .writeHead(200, { "content-type": "application/json", "content-length": body.length + 100 })
        .write(body.slice(0, 20));
      response.socket?.destroySoon();
      return true;
    case "garbage":
      send(response, 200, '{"kind": ');
      return true;
    case "type":
      send(response, 200, body, fault.type);
      return true;
    case "redirect":
      response.writeHead(fault.status, { location: fault.to }).end();
      return true;
    default:
      return false;
  }
}

async function handle(front: Front, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(incoming.url ?? "/", "http://world");
  const found = front.api.find(incoming.method ?? "", url.pathname);
  if (found === null) {
    front.problem(`${front.service} has no ${incoming.method} ${url.pathname}`);
    return send(response, 404, JSON.stringify({ error: { code: 404, message: "Not Found", status: "NOT_FOUND" } }));
  }
  const { method, parts } = found;
  let made: Made | null = null;
  let faults: readonly Fault[] = [];
  const strikes = async (moment: Moment, body: string): Promise<boolean> => {
    for (const fault of faults) {
      if ((("when" in fault ? fault.when : "after") as Moment) !== moment) continue;
      if (fault.kind === "delay") await Bun.sleep(fault.milliseconds);
      if (fault.kind === "error")
        throw new ServiceError(fault.status ?? HTTP[fault.code] ?? 400, fault.code, `injected: ${fault.code}`);
      if (instead(fault, response, body)) return true;
    }
    return false;
  };
  try {
    made = await madeOf(front, incoming, method, parts, url);
    front.record(made);
    faults = front.strike(made);
    await front.between(made, "before");
    if (await strikes("before", "")) return;
    if (made.principal === null)
      throw new ServiceError(
        401,
        front.service === "privateca" ? "UNAUTHENTICATED" : "authError",
        "Invalid Credentials",
      );
    made.reached = true;
    front.authorize(made);
    const answer = await front.answer(made);
    made.result = answer;
    const wrong = front.api.wrong(method.response, answer);
    if (wrong.length > 0) front.problem(`the world's own answer to ${method.id}: ${wrong.join("; ")}`);
    await front.between(made, "after");
    const numbers = url.searchParams.get("$alt") === "json;enum-encoding=int";
    const body = JSON.stringify(numbers ? front.api.numbered(method.response, answer) : answer);
    if (await strikes("after", body)) return;
    made.http = 200;
    send(response, 200, body);
    made.heard = true;
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    if (made !== null) Object.assign(made, { error: error.reason, message: error.message, http: error.http });
    const headers = error.http === 401 ? { "www-authenticate": 'Bearer error="invalid_token"' } : {};
    response.writeHead(error.http, { "content-type": "application/json; charset=UTF-8", ...headers });
    response.end(JSON.stringify(errorBody(front.service, error)));
    if (made !== null) made.heard = true;
  }
}

/** `identity`: key and certificate, PEM, of a server that speaks TLS; null: plain HTTP. */
export async function startFront(front: Front, identity: Identity | null): Promise<Listening> {
  const take = (incoming: IncomingMessage, response: ServerResponse): void => {
    handle(front, incoming, response).catch((error: unknown) => {
      front.problem(`the world broke: ${error instanceof Error ? error.stack : String(error)}`);
      response.destroy();
    });
  };
  if (identity === null) return listening(createPlain(take), "http");
  return listening(createTls({ key: identity.key, cert: identity.cert }, take), "https");
}
