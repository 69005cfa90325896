import { spawnSync } from "node:child_process";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { type AddressInfo, connect, createServer as createTcp, type Server, type Socket } from "node:net";
import { createServer as createTls } from "node:tls";

export type Asked = {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
};
export type Reply = { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: string };

/** A server on this machine that writes down everything that reaches it. `reply`: null closes the connection without an answer. */
export async function recorder(reply: (asked: Asked, nth: number) => Reply | null | Promise<Reply | null>) {
  const asked: Asked[] = [];
  let bytes = 0;
  const server = createServer((incoming, outgoing) => {
    let body = "";
    incoming.on("data", (chunk) => {
      body += chunk;
    });
    incoming.on("end", async () => {
      const one = { method: incoming.method ?? "", path: incoming.url ?? "", headers: incoming.headers, body };
      asked.push(one);
      const answer = await reply(one, asked.length);
      if (answer === null) {
        incoming.socket.destroy();
        return;
      }
      outgoing.writeHead(answer.status ?? 200, { "x-amzn-requestid": `req-${asked.length}`, ...answer.headers });
      outgoing.end(answer.body ?? "");
    });
  });
  const front = createTcp((socket) => {
    socket.on("error", () => undefined);
    const inner = connectTo(server);
    socket.on("data", (chunk: Uint8Array) => {
      bytes += chunk.length;
      inner.write(chunk);
    });
    inner.on("data", (chunk: Uint8Array) => socket.write(chunk));
    inner.on("close", () => socket.end());
    inner.on("error", () => socket.destroy());
    socket.on("close", () => inner.destroy());
  });
  await listens(server);
  const port = await listens(front);
  return {
    url: `http://127.0.0.1:${port}`,
    host: `http://127.0.0.1:${port}`,
    port,
    asked,
    bytes: () => bytes,
    close() {
      front.close();
      server.close();
    },
  };
}

function connectTo(server: Server): Socket {
  return connect((server.address() as AddressInfo).port, "127.0.0.1");
}

function listens(server: Server): Promise<number> {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));
}

/** A TLS server whose certificate nobody vouches for: counts what was said to it after the handshake. */
export async function unknownTls(folder: string) {
  const made = spawnSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"],
    ...["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
    ...["-keyout", `${folder}/key.pem`, "-out", `${folder}/cert.pem`],
  ]);
  if (made.status !== 0) throw new Error(String(made.stderr));
  let bytes = 0;
  let handshakes = 0;
  const text = async (name: string) => await Bun.file(`${folder}/${name}`).text();
  const server = createTls({ key: await text("key.pem"), cert: await text("cert.pem") }, (socket) => {
    handshakes++;
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Uint8Array) => {
      bytes += chunk.length;
      socket.end("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    });
  });
  server.on("tlsClientError", () => undefined);
  const port = await listens(server);
  return {
    url: `https://127.0.0.1:${port}`,
    bytes: () => bytes,
    handshakes: () => handshakes,
    close: () => server.close(),
  };
}
