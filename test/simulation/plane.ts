import { createPrivateKey, generateKeyPairSync, sign, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context } from "hono";
import { canonical } from "../../agent/wire/canonical.ts";
import { TOKEN_HEADER } from "../../agent/wire/token.ts";
import { thumbprint } from "../../agent/wire/trust.ts";
import { type Authority, openAuthority } from "../../control/ca.ts";
import { agentsApp, enrolmentApp } from "../../control/listeners.ts";
import { watchAccepted, watchMoments } from "../../control/moment.ts";
import { type Nonces, openNonces } from "../../control/nonces.ts";
import { REDELIVER_SECONDS } from "../../control/poll.ts";
import { type Signer, signJws } from "../../control/signer.ts";
import { openSqlite } from "../../control/sqlite.ts";
import { signFirstStatement } from "../../control/statement.ts";
import { ensureCluster, type News, nowSeconds, type Sql, type Store, writeMeta } from "../../control/store.ts";
import type { Wake } from "../../control/wake.ts";
import { openWitnessKey, type WitnessKey } from "../../control/witness/key.ts";
import type { Time } from "./time.ts";

export const CLUSTER = "prod-eu-1";
export const DOMAIN = "vendor.example";
const LATE_MS = 9000;
export const ENROL_URL = "https://control.vendor.example:8443";
export const AGENTS_URL = "https://control.vendor.example:8444";

/** The vendor's keys: made once for all worlds of this process. What is chance in them decides nothing. */
export type VendorKeys = {
  readonly dir: string;
  readonly authority: Authority;
  readonly witness: WitnessKey;
  readonly signer: Signer;
  /** RFC 7638, of the first command key. */
  readonly pin: string;
  remove(): void;
};

export async function vendorKeys(): Promise<VendorKeys> {
  const dir = mkdtempSync(join(tmpdir(), "reeve-simulation-"));
  const authority = await openAuthority(dir, ["control.vendor.example"]);
  const { privateKey } = generateKeyPairSync("ed25519");
  const { x = "" } = privateKey.export({ format: "jwk" });
  const signer = { kid: "cmd-1", x, sign: (bytes: Uint8Array) => new Uint8Array(sign(null, bytes, privateKey)) };
  return {
    dir,
    authority,
    witness: openWitnessKey(join(dir, "ca"), undefined),
    signer,
    pin: await thumbprint(x),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** What the TLS layer would say of a caller. `port`: the connection's, as `accept` gave it. */
export type Caller = { readonly raw: Uint8Array; readonly serial: string; readonly port: number };
export type ControlPlane = {
  readonly store: Store;
  readonly keys: VendorKeys;
  /** Answers a request; `gone` is aborted when the caller has left. */
  enrolment(method: string, path: string, body: string | null): Promise<Response>;
  /** `end` is called when the connection ends with the answer. */
  agents(path: string, body: string, caller: Caller, gone: AbortSignal, end: () => void): Promise<Response>;
  /** A connection has come; gives the port at its other end. */
  accept(): number;
  /** The newest moment, as a connection that comes now would have it. */
  newest(): number;
  readonly nonces: Nonces;
  /** The process is killed and started again: what it only remembered is gone. */
  restart(): void;
  /** So many statements from now on the state's disk fails: the transaction is undone. */
  failIn(statements: number): void;
  newToken(seconds: number): Promise<string>;
  close(): void;
};

/** A statement of SQL that the state's disk did not take. */
export class StateFailed extends Error {}

/**
 * The real control plane over a state in memory, without sockets. `blind`: beginnings of statements of SQL that are answered with nothing and
 * change nothing, to see that their absence is found.
 */
export async function controlPlane(
  time: Pick<Time, "after">,
  keys: VendorKeys,
  blind: readonly string[] = [],
): Promise<ControlPlane> {
  const wakes = new Set<() => void>();
  let failing = Number.POSITIVE_INFINITY;
  const store = watched(await openSqlite(":memory:"), {
    statement() {
      failing--;
      if (failing >= 0) return;
      failing = Number.POSITIVE_INFINITY;
      throw new StateFailed("the disk of the state is not well");
    },
    changed: () => [...wakes].forEach((wake) => void wake()),
    blind,
  });
  const plane = {
    store,
    authority: keys.authority,
    witness: keys.witness,
    trustDomain: DOMAIN,
    verify: async () => {
      throw new Error("this world has no platform");
    },
    enrolUrl: ENROL_URL,
    agentsUrl: AGENTS_URL,
  };
  await store.transaction(async (sql) => {
    await writeMeta(sql, "trust_domain", DOMAIN);
    await writeMeta(sql, "enrol_url", ENROL_URL);
    await writeMeta(sql, "agents_url", AGENTS_URL);
  });
  await signFirstStatement(store, keys.dir, CLUSTER, keys.signer);
  const moments = await watchMoments(store);
  const nonces = await openNonces(store, moments);
  const never = new AbortController().signal;
  const wake: Wake = {
    stopping: never,
    seen: () => 0,
    // A server may be late: it looks seconds later than it was asked to, and at once when something changed.
    wait: (milliseconds, gone) =>
      new Promise((resolve) => {
        const end = (): void => {
          timer.cancel();
          wakes.delete(end);
          resolve();
        };
        const timer = time.after(milliseconds < 1000 ? milliseconds : milliseconds + LATE_MS, end);
        wakes.add(end);
        gone.addEventListener("abort", end, { once: true });
        if (gone.aborted) end();
      }),
  };
  const start = () => ({
    enrolment: enrolmentApp(plane, nonces),
    agents: agentsApp(plane, wake, { redeliverSeconds: REDELIVER_SECONDS }),
  });
  let apps = start();
  let ports = 0;
  let came: (socket: object) => void = () => undefined;
  const server = {
    on(_name: string, then: (socket: object) => void) {
      came = then;
    },
  };
  watchAccepted(server as unknown as Parameters<typeof watchAccepted>[0], moments);
  return {
    store,
    keys,
    enrolment: async (method, path, body) =>
      apps.enrolment.fetch(
        request(method, path, body),
        env(null, never, () => undefined),
      ),
    agents: async (path, body, caller, gone, end) =>
      apps.agents.fetch(request("POST", path, body), env(caller, gone, end)),
    accept() {
      ports++;
      came({ ...endsOf(ports), once: () => undefined });
      return ports;
    },
    newest: moments.newest,
    nonces,
    restart() {
      apps = start();
    },
    failIn(statements) {
      failing = statements;
    },
    newToken: (seconds) => newToken(store, keys, seconds),
    close: () => store.close(),
  };
}

function request(method: string, path: string, body: string | null): Request {
  const headers = body === null ? {} : { "content-type": "application/json" };
  return new Request(`https://control.vendor.example${path}`, { method, headers, ...(body === null ? {} : { body }) });
}

const endsOf = (port: number) => ({
  localAddress: "10.0.0.2",
  localPort: 8444,
  remoteAddress: "10.0.0.1",
  remotePort: port,
});

/** What node:http2 hands over with a request, as far as the listeners look at it. */
function env(caller: Caller | null, gone: AbortSignal, end: () => void): Context["env"] {
  const socket = {
    ...endsOf(caller?.port ?? 0),
    authorized: true,
    getPeerCertificate: () => (caller === null ? {} : { raw: caller.raw, serialNumber: caller.serial.toUpperCase() }),
    destroy: end,
  };
  // What is asked for on the same turn as the answer is about the connection's end after it.
  const once = (_name: string, then: () => void): void => gone.addEventListener("abort", then, { once: true });
  return { incoming: { socket }, outgoing: { once } };
}

/** `statement` may throw before any statement of a transaction; `changed` is told of each commit that wakes polls. */
function watched(store: Store, to: { statement(): void; changed(): void; readonly blind: readonly string[] }): Store {
  const isBlind = (text: string): boolean => to.blind.some((beginning) => text.startsWith(beginning));
  const listeners = new Set<(news: News) => void>();
  const watch = (sql: Sql, told: News[]): Sql => ({
    async rows(text, ...values) {
      to.statement();
      return isBlind(text) ? [] : sql.rows(text, ...values);
    },
    async run(text, ...values) {
      to.statement();
      return isBlind(text) ? 0 : sql.run(text, ...values);
    },
    tell: (news) => void told.push(news),
    skipLocked: sql.skipLocked,
  });
  const transaction: Store["transaction"] = async (work) => {
    const told: News[] = [];
    const result = await store.transaction((sql) => work(watch(sql, told)));
    for (const news of told) for (const heard of listeners) heard(news);
    if (told.some((news) => news === "all" || "cluster" in news)) to.changed();
    return result;
  };
  return {
    close: () => store.close(),
    settled: () => store.settled(),
    transaction,
    read: transaction,
    async listen(heard) {
      listeners.add(heard);
      return () => void listeners.delete(heard);
    },
  };
}

/** A join token, as `reeve-control token` makes it. Whom the state's disk refuses it asks once more. */
async function newToken(store: Store, keys: VendorKeys, seconds: number): Promise<string> {
  try {
    return await makeToken(store, keys, seconds);
  } catch (error) {
    if (!(error instanceof StateFailed)) throw error;
    return makeToken(store, keys, seconds);
  }
}

async function makeToken(store: Store, keys: VendorKeys, seconds: number): Promise<string> {
  return store.transaction(async (sql) => {
    const iat = nowSeconds();
    const jti = `token-${Buffer.from(String(iat)).toString("hex")}-${await countOf(sql)}`.padEnd(32, "x");
    const claims = { iss: DOMAIN, aud: "reeve-enrol", sub: CLUSTER, jti, iat, exp: iat + seconds, url: ENROL_URL };
    const { tokenKey, rootSha256 } = keys.authority;
    const token = signJws(TOKEN_HEADER, canonical({ ...claims, sha: rootSha256 }), {
      sign: (bytes) => sign(null, bytes, tokenKey),
    });
    await ensureCluster(sql, CLUSTER);
    await sql.run("insert into tokens (jti, cluster, exp) values ($1, $2, $3)", jti, CLUSTER, claims.exp);
    return token;
  });
}

async function countOf(sql: Sql): Promise<number> {
  const [row] = await sql.rows<{ number: number }>("select count(*) as number from tokens");
  return row?.number ?? 0;
}

/** The chain that the server shows, leaf first, as DER. */
export function shownChain(authority: Authority): Uint8Array[] {
  const parts = authority.server.cert.split(/(?<=-----END CERTIFICATE-----)\n/).filter((part) => part.trim() !== "");
  return parts.map((pem) => new Uint8Array(new X509Certificate(pem).raw));
}

/** Of a client's PEM: who presents it, and until when TLS takes it; null for one whose key is another. */
export function callerOf(pem: string, key: string): (Omit<Caller, "port"> & { readonly notAfter: number }) | null {
  const leaf = new X509Certificate(pem);
  if (!leaf.checkPrivateKey(createPrivateKey(key))) return null;
  return { raw: new Uint8Array(leaf.raw), serial: leaf.serialNumber.toLowerCase(), notAfter: Date.parse(leaf.validTo) };
}
