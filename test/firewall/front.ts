/**
 * Stands before the control plane's listeners, as a program of the tests' own: whoever is on the way, or has taken the place. Arguments:
 * address to listen on, folder with `server.pem` and `server.key` (the control plane's own) and `other.pem`, `other.key` (another CA's),
 * then the ports. Each line on stdin is a mode; when it holds, `{"mode":…,"connections":N,"sent":N}` says what came of the one before.
 */
import { readFileSync } from "node:fs";
import { createSecureServer, type Http2ServerResponse } from "node:http2";
import { connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { gzipSync } from "node:zlib";

type Mode = "pass" | "away" | "stall" | "drip" | "intercept" | "redirect" | "huge" | "bomb";
const HUGE_BYTES = 10_000_000_000;
const CHUNK = Buffer.alloc(256 * 1024, 0x20);
const [address = "", folder = "", ...ports] = process.argv.slice(2);
/** 200 MB of blanks: few bytes on the wire. */
const BOMB = gzipSync(Buffer.alloc(200_000_000, 0x20));
let mode: Mode = "pass";
let [connections, sent] = [0, 0];
const open = new Set<Socket>();

function tls(whose: "server" | "other") {
  const read = (what: string): Buffer => readFileSync(`${folder}/${whose}.${what}`);
  const server = createSecureServer({
    cert: read("pem"),
    key: read("key"),
    allowHTTP1: true,
    requestCert: true,
    rejectUnauthorized: false,
  });
  server.on("request", (_, response: Http2ServerResponse) => answer(response));
  server.on("sessionError", () => undefined);
  return server;
}
const genuine = tls("server");
const other = tls("other");
for (const server of [genuine, other]) server.listen(0, "127.0.0.1");

function answer(response: Http2ServerResponse): void {
  response.stream.on("error", () => undefined);
  const json = { "content-type": "application/json" };
  if (mode === "redirect") {
    response.writeHead(307, { ...json, location: "https://10.77.1.2:1/stolen" });
    response.end("{}");
  } else if (mode === "bomb") {
    response.writeHead(200, { ...json, "content-encoding": "gzip" });
    response.end(BOMB);
  } else if (mode === "huge") {
    response.writeHead(200, { ...json, "content-length": String(HUGE_BYTES) });
    pour(response, HUGE_BYTES);
  } else response.end("{}");
}

function pour(response: Http2ServerResponse, left: number): void {
  for (let rest = left; rest > 0; rest -= CHUNK.length) {
    if (response.stream.destroyed) return;
    sent += CHUNK.length;
    if (!response.write(CHUNK)) {
      response.once("drain", () => pour(response, rest - CHUNK.length));
      return;
    }
  }
  response.end();
}

function portOf(server: { address(): unknown }): number {
  return (server.address() as { port: number }).port;
}

function pair(from: Socket, to: Socket): void {
  const end = (): void => {
    from.destroy();
    to.destroy();
  };
  for (const [source, target] of [
    [from, to],
    [to, from],
  ] as const) {
    source.on("data", (part: Buffer) => relay(part, source, target));
    source.on("error", end);
    source.on("close", end);
  }
}

/** In the order they came: what is held back holds up what comes after it. */
async function relay(part: Buffer, source: Socket, target: Socket): Promise<void> {
  source.pause();
  while (mode === "stall") await Bun.sleep(100);
  if (mode === "drip") {
    for (const byte of part) {
      if (mode !== "drip" || target.destroyed) break;
      target.write(Buffer.of(byte));
      await Bun.sleep(1000);
    }
  } else target.write(part);
  source.resume();
}

for (const port of ports) {
  createServer((socket) => {
    connections++;
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
    if (mode === "away") {
      socket.destroy();
      return;
    }
    const to =
      mode === "intercept"
        ? portOf(other)
        : ["redirect", "huge", "bomb"].includes(mode)
          ? portOf(genuine)
          : Number(port);
    pair(socket, connect(to, "127.0.0.1"));
  }).listen(Number(port), address);
}

const say = (): void => {
  process.stdout.write(`${JSON.stringify({ mode, connections, sent })}\n`);
  [connections, sent] = [0, 0];
};
for await (const line of createInterface({ input: process.stdin })) {
  mode = line as Mode;
  // What holds back holds what is there; all else begins with a new connection.
  if (mode !== "stall" && mode !== "drip") for (const socket of open) socket.destroy();
  say();
}
