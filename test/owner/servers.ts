import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import type { World } from "../e2e/world.ts";

/** Stand-ins at the enrolment address, where the control plane was. `inside`: bytes that came inside TLS. */
export type StandIn = { inside(): number; connections(): number; end(): Promise<void> };
type Listener = {
  on(event: "connection", then: (socket: Socket) => void): unknown;
  listen(port: number, host: string, then: () => void): unknown;
  close(then: () => void): unknown;
};

async function standIn(w: World, server: Listener, inside: () => number): Promise<StandIn> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  const port = Number(w.ports.enrol.split(":").at(-1));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", () => resolve()));
  return {
    inside,
    connections: () => sockets.size,
    end() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** The control plane's own certificate and key, and a clock that is `ahead` milliseconds of this machine's. */
export function genuine(w: World, ahead: number): Promise<StandIn> {
  const ca = (name: string): string => readFileSync(join(w.data, "ca", name), "utf8");
  const cert = `${ca("server.pem").trim()}\n${ca("root.pem")}`;
  const server = createSecureServer({ cert, key: ca("server.key"), minVersion: "TLSv1.3" }, (_request, response) => {
    const date = new Date(Date.now() + ahead).toUTCString();
    response.writeHead(404, { "content-type": "application/json", date });
    response.end('{"code":"not-found","message":"nothing"}');
  });
  server.on("sessionError", () => undefined);
  return standIn(w, server as unknown as Listener, () => 0);
}

/** A server with a certificate of somebody else, for the right address. `beside`: PEM that it sends after its own. */
export function impostor(w: World, beside: "its own root" | "the genuine root"): Promise<StandIn> {
  const at = (name: string): string => join(w.folder, `impostor-${name}`);
  const openssl = (...args: string[]): void => {
    const done = spawnSync("openssl", args, { encoding: "utf8" });
    if (done.status !== 0) throw new Error(`openssl: ${done.stderr}`);
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3"];
  openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    at("ca.key"),
    "-out",
    at("ca.crt"),
    "-subj",
    "/O=Example Corp/CN=Inspection",
  );
  openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    at("key"),
    "-out",
    at("crt"),
    "-subj",
    "/CN=control",
    "-CA",
    at("ca.crt"),
    "-CAkey",
    at("ca.key"),
    "-addext",
    "subjectAltName=IP:127.0.0.1",
    "-addext",
    "basicConstraints=critical,CA:FALSE",
  );
  const more = readFileSync(beside === "its own root" ? at("ca.crt") : join(w.data, "ca/root.pem"), "utf8");
  let inside = 0;
  const server = createTlsServer(
    { cert: readFileSync(at("crt"), "utf8") + more, key: readFileSync(at("key"), "utf8"), ALPNProtocols: ["h2"] },
    (socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (chunk: Buffer) => {
        inside += chunk.length;
      });
    },
  );
  server.on("tlsClientError", () => undefined);
  return standIn(w, server as unknown as Listener, () => inside);
}

/** Takes connections and says nothing. */
export function silent(w: World): Promise<StandIn> {
  return standIn(w, createServer() as unknown as Listener, () => 0);
}
