import { createSecureServer, type Http2SecureServer } from "node:http2";
import type { Server, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { getRequestListener, type Http2Bindings, type HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import type { z } from "zod";
import {
  EnrolRequest,
  GraceRenewRequest,
  PollRequest,
  RenewRequest,
  ReportRequest,
  SharedRequest,
  WitnessRequest,
} from "../agent/wire/protocol.ts";
import { MAX_POLICY_BYTES } from "../policy/limits.ts";
import { enrol, type Plane } from "./enrol.ts";
import { FAULT_STATUS, Faulted } from "./fault.ts";
import { noteFor } from "./manifest/inventory.ts";
import { acceptedAt, type Moments, watchAccepted } from "./moment.ts";
import type { Nonces } from "./nonces.ts";
import { admit, clusterOf, type Peer, type Presented } from "./peer.ts";
import { handOut, notePoll, type Told } from "./poll.ts";
import { renew, renewInGrace } from "./renew.ts";
import { takeReport } from "./report.ts";
import { takeInventory, takeShared } from "./share.ts";
import type { Sql } from "./store.ts";
import { sayTrouble } from "./terminal.ts";
import type { Wake } from "./wake.ts";
import { takeWitness } from "./witnessed.ts";

const MAX_ENROL_BYTES = 128 * 1024;
const MAX_SMALL_BYTES = 64 * 1024;
/** MAX_ENTRIES_PER_REPORT entries are far smaller than this in practice; an agent splits what is larger. */
const MAX_REPORT_BYTES = 4 * 1024 * 1024;
/** A policy holds no control characters but line feeds, so JSON makes at most two bytes of one. */
const MAX_SHARED_BYTES = 2 * MAX_POLICY_BYTES + 1024;
const BODY_TIMEOUT_MS = 20_000;

type Bindings = { readonly Bindings: HttpBindings | Http2Bindings };
type App = Hono<Bindings>;
type Call = Context<Bindings>;

export type Settings = { readonly redeliverSeconds: number };

/** The enrolment listener: server TLS only. Nobody is known here; what it takes proves itself. */
export function enrolmentApp(plane: Plane, nonces: Nonces): App {
  const app = newApp();
  app.get("/v1/nonce", (c) => c.json({ nonce: nonces.make(), trust_domain: plane.trustDomain }));
  app.post("/v1/enroll", async (c) =>
    c.json(await enrol(plane, nonces, await readBody(c, EnrolRequest, MAX_ENROL_BYTES))),
  );
  app.post("/v1/renew", async (c) =>
    c.json(await renewInGrace(plane, nonces, await readBody(c, GraceRenewRequest, MAX_ENROL_BYTES))),
  );
  return app;
}

/** The agents' listener: each call is by a certificate that we issued, looked at anew for each call. */
export function agentsApp(plane: Plane, wake: Wake, settings: Settings): App {
  const app = newApp();
  const told = new Map<string, Told>();
  const toldTo = ({ cluster, epoch }: Peer, { process }: PollRequest): Told => {
    const key = `${cluster}/${epoch}`;
    const words = told.get(key) ?? { process, words: new Set() };
    told.set(key, words);
    return words;
  };
  // Of one call it is read once: a connection's certificate does not change (TLS 1.3 has no renegotiation).
  const shown = new WeakMap<Call, Presented>();
  const asPeer = <T>(c: Call, work: (sql: Sql, peer: Peer) => Promise<T | Faulted>): Promise<T> => {
    const who = shown.get(c) ?? presented(c);
    shown.set(c, who);
    return inTransaction(plane, who, work);
  };
  app.post("/v1/renew", async (c) => {
    await asPeer(c, async (_sql, peer) => peer);
    const body = await readBody(c, RenewRequest, MAX_SMALL_BYTES);
    return c.json(await asPeer(c, (sql, peer) => renew(plane, sql, peer, body.csr)));
  });
  app.post("/v1/reports", async (c) => {
    await asPeer(c, async (_sql, peer) => peer);
    const body = await readBody(c, ReportRequest, MAX_REPORT_BYTES);
    return c.json(await asPeer(c, (sql, peer) => takeReport(sql, plane.trustDomain, peer, body)));
  });
  app.post("/v1/shared", async (c) => {
    await asPeer(c, async (_sql, peer) => peer);
    const body = await readBody(c, SharedRequest, MAX_SHARED_BYTES);
    return c.json(
      await asPeer(c, (sql, peer) =>
        body.kind === "policy" ? takeShared(sql, peer, body) : takeInventory(sql, peer, body),
      ),
    );
  });
  app.get("/v1/manifests/:hex", async (c) => {
    const digest = `sha256:${c.req.param("hex")}`;
    return c.json(await asPeer(c, (sql, peer) => handOutManifest(sql, peer.cluster, digest)));
  });
  app.post("/v1/commands", async (c) => {
    // It is small, and read before anybody is looked for: an agent that waits costs one transaction a poll.
    const body = await readBody(c, PollRequest, MAX_SMALL_BYTES).catch(async (error: unknown) => {
      // One that is fenced hears that, whatever it said.
      await asPeer(c, async (_sql, peer) => peer);
      throw error;
    });
    const until = Date.now() + body.hold * 1000;
    const gone = goneSignal(c);
    for (let noted = false; ; noted = true) {
      if (gone.aborted) throw new Faulted("unavailable", "the caller has gone");
      const { cluster, seen, answer, news, due } = await asPeer(c, async (sql, peer) => {
        // Before it looks: what comes meanwhile is not missed.
        const seen = wake.seen(peer.cluster);
        const fault = noted ? null : await notePoll(sql, plane.trustDomain, peer, body);
        const look = fault ?? (await handOut(sql, peer, body, toldTo(peer, body), settings.redeliverSeconds));
        return look instanceof Faulted ? look : { ...look, cluster: peer.cluster, seen };
      });
      if (news || Date.now() >= until || wake.stopping.aborted) return c.json(answer);
      const dueMs = (due ?? Number.POSITIVE_INFINITY) * 1000;
      await wake.wait(Math.max(10, Math.min(until, dueMs) - Date.now()), gone, cluster, seen);
      // Nothing was told, and nothing is due: what was found is still so.
      if (!gone.aborted && wake.seen(cluster) === seen && Date.now() < dueMs) return c.json(answer);
    }
  });
  app.post("/v1/witness", async (c) => {
    await asPeer(c, async (_sql, peer) => peer);
    const body = await readBody(c, WitnessRequest, MAX_REPORT_BYTES);
    return c.json(await asPeer(c, (sql, peer) => takeWitness(sql, plane, peer, body)));
  });
  return app;
}

/** Another cluster's manifest is answered as one that is not there. */
async function handOutManifest(sql: Sql, cluster: string, digest: string): Promise<{ note: string } | Faulted> {
  const note = await noteFor(sql, cluster, digest);
  return note === null ? new Faulted("not-found", "this cluster has no such manifest here") : { note };
}

async function inTransaction<T>(
  plane: Plane,
  who: Presented,
  work: (sql: Sql, peer: Peer) => Promise<T | Faulted>,
): Promise<T> {
  // A refusal is returned from the transaction, not thrown in it: its alarm is kept.
  const result = await plane.store.transaction(async (sql): Promise<T | Faulted> => {
    const peer = await admit(sql, who);
    return peer instanceof Faulted ? peer : work(sql, peer);
  }, clusterOf(who.serial));
  if (result instanceof Faulted) throw result;
  return result;
}

function newApp(): App {
  const app: App = new Hono();
  app.notFound((c) => fault(c, new Faulted("not-found", "there is nothing here")));
  app.onError((error, c) => {
    if (error instanceof Faulted) return fault(c, error);
    // Our own mistake, or the disk's: said here, and the caller learns nothing of it.
    sayTrouble("a call failed", error);
    return fault(c, new Faulted("unavailable", "this did not work; try again"));
  });
  return app;
}

function fault(c: Call, faulted: Faulted): Response {
  if (faulted.last) endConnection(c);
  return c.json({ code: faulted.code, message: faulted.message.slice(0, 512) }, FAULT_STATUS[faulted.code]);
}

/** After this answer. What else is under way on it is asked again by who lives, on another. */
function endConnection(c: Call): void {
  const { incoming, outgoing } = c.env;
  const session = "stream" in incoming ? incoming.stream?.session : undefined;
  outgoing.once("close", () => (session === undefined ? incoming.socket.destroy() : session.close()));
}

/** The body as the schema says, at most `max` bytes and in BODY_TIMEOUT_MS. Throws Faulted: too-large, malformed. */
async function readBody<T>(c: Call, schema: z.ZodType<T>, max: number): Promise<T> {
  const text = await readText(c.req.raw.body, max);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Faulted("malformed", "the body is not JSON");
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const field = parsed.error.issues[0]?.path.map(String).join(".") ?? "";
  throw new Faulted("malformed", `the body is not of its form${/^[a-z0-9_.]{1,64}$/.test(field) ? ` (${field})` : ""}`);
}

async function readText(body: ReadableStream<Uint8Array> | null, max: number): Promise<string> {
  if (body === null) throw new Faulted("malformed", "there is no body");
  const reader = body.getReader();
  const late = AbortSignal.timeout(BODY_TIMEOUT_MS);
  late.addEventListener("abort", () => void reader.cancel().catch(() => undefined), { once: true });
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (late.aborted) throw new Faulted("malformed", "the body came too slowly");
    if (done) break;
    size += value.length;
    if (size > max) {
      await reader.cancel().catch(() => undefined);
      throw new Faulted("too-large", `the body is over ${max} bytes`);
    }
    chunks.push(value);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new Faulted("malformed", "the body is not UTF-8");
  }
}

/** The other side's certificate, read from the TLS socket of this very call. Anything missing is an end, never a pass. */
export function presented(c: Pick<Call, "env">): Presented {
  const { incoming } = c.env;
  const socket = (
    "stream" in incoming && incoming.stream ? (incoming.stream.session?.socket as unknown) : incoming.socket
  ) as TLSSocket | undefined;
  if (socket === undefined || typeof socket.getPeerCertificate !== "function")
    throw new Faulted("certificate", "there is no certificate to look at");
  const certificate = socket.getPeerCertificate(false);
  if (
    !(certificate?.raw instanceof Uint8Array) ||
    typeof certificate.serialNumber !== "string" ||
    socket.authorized !== true
  )
    throw new Faulted("certificate", "there is no certificate to look at");
  const serial = certificate.serialNumber.toLowerCase();
  return { authorized: true, raw: certificate.raw, serial, accepted: acceptedAt(socket) };
}

/** Aborted when the caller has gone: nothing is handed out to nobody. */
function goneSignal(c: Call): AbortSignal {
  const gone = new AbortController();
  const { outgoing } = c.env;
  outgoing.once("close", () => gone.abort());
  return gone.signal;
}

export type Listening = { readonly port: number; close(): Promise<void> };

/** Binds one listener. `clients`: the roots (PEM) that a client's certificate must come from; null asks for none. */
export async function listen(
  app: Pick<App, "fetch">,
  plane: Pick<Plane, "authority"> & { readonly moments: Pick<Moments, "newest"> },
  host: string,
  port: number,
  clients: readonly string[] | null,
): Promise<Listening> {
  const server: Http2SecureServer = createSecureServer(
    {
      allowHTTP1: true,
      minVersion: "TLSv1.3",
      key: plane.authority.server.key,
      cert: plane.authority.server.cert,
      ...(clients === null ? {} : { ca: [...clients], requestCert: true, rejectUnauthorized: true }),
    },
    getRequestListener(app.fetch as never, { overrideGlobalObjects: false }) as never,
  );
  const sockets = new Set<Socket>();
  watchAccepted(server, plane.moments);
  server.on("connection", (socket: Socket) => keep(sockets, socket));
  server.on("secureConnection", (socket: Socket) => keep(sockets, socket));
  server.on("tlsClientError", () => undefined);
  server.on("sessionError", () => undefined);
  await whenListening(server, () => server.listen(port, host));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a listener without an address");
  return { port: address.port, close: () => closeServer(server, sockets) };
}

/** Rejects when it cannot; errors later are those of single connections. */
export async function whenListening(server: Pick<Server, "on" | "once" | "off">, begin: () => void): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    begin();
  });
  server.on("error", () => undefined);
}

export function keep(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.on("error", () => undefined);
  socket.once("close", () => sockets.delete(socket));
}

/** No new connections; those that are open get a moment for the answer they wait for. */
async function closeServer(server: Http2SecureServer, sockets: ReadonlySet<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 300))]);
  for (const socket of sockets) socket.destroy();
}
