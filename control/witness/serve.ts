import { mkdirSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createSecureServer, type Http2SecureServer } from "node:http2";
import { isIP, type Socket } from "node:net";
import { join } from "node:path";
import { getRequestListener } from "@hono/node-server";
import { certificatesOf } from "../../agent/audit/chain.ts";
import { openSqlite } from "../sqlite.ts";
import { Complaint } from "../terminal.ts";
import { witnessApp } from "./app.ts";
import { openWitnessKey, witnessKeyText } from "./key.ts";
import { WITNESS_MIGRATIONS } from "./state.ts";
import { type ServerPair, witnessTls } from "./tls.ts";

export type WitnessOptions = {
  readonly dir: string;
  readonly name: string | undefined;
  /** Files of PEM: the CAs that may vouch for a log's key. */
  readonly ca: readonly string[];
  /** HOST:PORT. */
  readonly listen: string;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly plain: boolean;
};
export type WitnessReady = {
  readonly url: string;
  readonly name: string;
  /** As a config's `witnesses` takes it. */
  readonly key: string;
  /** The root of a certificate that the witness made itself: for a config's `ca`. Null where there is none. */
  readonly ca: string | null;
};
export const WITNESS_DB = "witness.db";

/** Starts a witness on its folder; the first start makes its key and its state. */
export async function serveWitness(
  options: WitnessOptions,
): Promise<{ readonly ready: WitnessReady; stop(): Promise<void> }> {
  const at = address(options.listen);
  const ca = readAuthorities(options.ca);
  mkdirSync(options.dir, { recursive: true, mode: 0o700 });
  const tls = await serverPair(options, at.host);
  const key = openWitnessKey(options.dir, options.name);
  const store = await openSqlite(join(options.dir, WITNESS_DB), WITNESS_MIGRATIONS);
  const said = (what: string, because: string): void => {
    process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level: "warn", what, because })}\n`);
  };
  const listener = getRequestListener(witnessApp({ key, store, ca, said }).fetch as never, {
    overrideGlobalObjects: false,
  });
  const server =
    tls === null
      ? createServer(listener as never)
      : createSecureServer(
          { allowHTTP1: true, minVersion: "TLSv1.2", key: tls.key, cert: tls.cert },
          listener as never,
        );
  const sockets = keptSockets(server);
  const port = await listening(server, at);
  const host = at.host.includes(":") ? `[${at.host}]` : at.host;
  return {
    ready: {
      url: `${tls === null ? "http" : "https"}://${host}:${port}`,
      name: key.name,
      key: witnessKeyText(key),
      ca: tls?.root ?? null,
    },
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
      await store.transaction(async () => undefined);
      store.close();
    },
  };
}

function keptSockets(server: Server | Http2SecureServer): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
  };
  server.on("connection", keep);
  server.on("secureConnection", keep);
  server.on("tlsClientError", () => undefined);
  server.on("sessionError", () => undefined);
  return sockets;
}

async function listening(
  server: Server | Http2SecureServer,
  at: { readonly host: string; readonly port: number },
): Promise<number> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(at.port, at.host, () => {
        server.removeListener("error", reject);
        resolve();
      });
    });
  } catch (error) {
    const code = String((error as { code?: unknown }).code ?? error);
    throw new Complaint(
      5,
      `listen on ${at.host}:${at.port}`,
      `the system answers ${code}`,
      "Choose another address, or stop what holds this one.",
    );
  }
  server.on("error", () => undefined);
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("a listener without an address");
  return bound.port;
}

async function serverPair(options: WitnessOptions, host: string): Promise<ServerPair | null> {
  const cannot = "serve as a witness";
  const { tlsCert, tlsKey, plain } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined) || (plain && tlsCert !== undefined))
    throw new Complaint(
      2,
      cannot,
      "it is not clear which certificate to show",
      "Give --tls-cert and --tls-key together, or --plain, or none of them.",
    );
  if (plain && !isLoopback(host))
    throw new Complaint(
      2,
      cannot,
      `--plain is for loopback, and ${host} is another place`,
      "Leave --plain out, or put a server with TLS before a witness on 127.0.0.1.",
    );
  if (plain) return null;
  if (tlsCert === undefined || tlsKey === undefined) return witnessTls(options.dir, host);
  return { cert: readText(tlsCert), key: readText(tlsKey), root: null };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function readAuthorities(files: readonly string[]): string {
  const pem = files.map(readText).join("\n");
  if (certificatesOf(pem).length === 0)
    throw new Complaint(
      3,
      "serve as a witness",
      "the CA files hold no certificate",
      "Name the root CA of the control plane whose agents' logs are to be witnessed: DIR/ca/root.pem there.",
    );
  return pem;
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = String((error as { code?: unknown }).code);
    throw new Complaint(
      4,
      "serve as a witness",
      `${file} cannot be read (${code})`,
      "Name a file that this user may read.",
    );
  }
}

function address(text: string): { readonly host: string; readonly port: number } {
  const match = /^(\[[0-9a-f:]+\]|[a-zA-Z0-9.-]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65535)
    throw new Complaint(
      2,
      "serve as a witness",
      `${JSON.stringify(text)} is not HOST:PORT`,
      "Write for example 127.0.0.1:8843.",
    );
  return { host: (match[1] ?? "").replace(/^\[|\]$/g, ""), port };
}
