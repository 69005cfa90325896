import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect as connectTcp, isIP } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { MAX_ANSWER_BYTES } from "../../agent/limits.ts";

const REACH_MS = 10_000;
const CONNECT_MS = 15_000;
const ANSWER_MS = 75_000;

export type Answer = {
  readonly status: number;
  /** Parsed JSON; undefined when it is none. */
  readonly body: unknown;
  readonly type: string;
  /** Of the Date header, milliseconds since 1970; null without one. */
  readonly dateMs: number | null;
};
export type Client = { readonly certificate: string; readonly key: string };
export type Dial = {
  /** PEM; null trusts whoever answers, to look at what is shown. */
  readonly roots: readonly string[] | null;
  readonly client?: Client | null;
  readonly alpn?: "h2" | "http/1.1";
  readonly version?: "TLSv1.2" | "TLSv1.3";
};
/** There is no connection, or it ended without an answer. */
export class Silent extends Error {
  override readonly name = "Silent";
}

export type Line = {
  /** A text is sent as it is, anything else as JSON; undefined is a GET. */
  ask(path: string, body?: unknown): Promise<Answer>;
  readonly closed: boolean;
  close(): void;
};

/** Every socket that is open: a case that ran out of its time leaves some. */
const open = new Set<TLSSocket>();
export function hangUp(): void {
  for (const socket of open) socket.destroy();
}

function placeOf(url: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 443) };
}

/** Null when somebody takes a connection there, whatever they speak; else why nobody does. */
export function unreachable(url: string): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connectTcp({ ...placeOf(url), timeout: REACH_MS });
    const ended = (why: string | null): void => {
      socket.destroy();
      resolve(why);
    };
    socket.once("connect", () => ended(null));
    socket.once("timeout", () => ended("no answer"));
    socket.once("error", (error) => ended(codeOf(error)));
  });
}

function codeOf(error: Error): string {
  return String((error as { code?: unknown }).code ?? error.message);
}

/** A TLS connection after its handshake. Throws Silent. */
export function handshake(url: string, dial: Dial): Promise<TLSSocket> {
  const { host, port } = placeOf(url);
  const version = dial.version ?? "TLSv1.3";
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      host,
      port,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ALPNProtocols: [dial.alpn ?? "h2"],
      minVersion: version,
      maxVersion: version,
      rejectUnauthorized: dial.roots !== null,
      ...(dial.roots === null ? {} : { ca: [...dial.roots] }),
      ...(dial.client ? { cert: dial.client.certificate, key: dial.client.key } : {}),
    });
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    const late = setTimeout(() => end("no handshake in time"), CONNECT_MS);
    const end = (why: string): void => {
      clearTimeout(late);
      socket.destroy();
      reject(new Silent(why));
    };
    socket.on("error", (error) => end(codeOf(error)));
    socket.once("close", () => end("closed"));
    socket.once("secureConnect", () => {
      clearTimeout(late);
      resolve(socket);
    });
  });
}

/** The chain that a server shows, leaf first, DER. */
export async function shownChain(url: string): Promise<readonly Uint8Array[]> {
  const socket = await handshake(url, { roots: null });
  const chain: Uint8Array[] = [];
  for (let one = socket.getPeerCertificate(true); one?.raw !== undefined && chain.length < 8; ) {
    chain.push(new Uint8Array(one.raw));
    const above = one.issuerCertificate;
    if (above === undefined || above === one || above.raw?.equals(one.raw) === true) break;
    one = above;
  }
  socket.destroy();
  return chain;
}

/** An HTTP/2 connection of its own: no pool that could hand out another. Throws Silent. */
export async function dial(url: string, how: Dial): Promise<Line> {
  const socket = await handshake(url, how);
  if (socket.alpnProtocol !== "h2") {
    socket.destroy();
    throw new Silent(`HTTP/2 was offered, and ${socket.alpnProtocol || "nothing"} chosen`);
  }
  const session = connectHttp2(url, { createConnection: () => socket, settings: { enablePush: false } });
  let closed = false;
  const shut = (): void => {
    closed = true;
    if (!session.destroyed) session.destroy();
    socket.destroy();
  };
  session.on("error", shut);
  session.once("close", shut);
  session.once("goaway", () => {
    closed = true;
  });
  socket.once("close", shut);
  return {
    ask: (path, body) => (closed ? Promise.reject(new Silent("the connection has ended")) : asked(session, path, body)),
    get closed() {
      return closed;
    },
    close: shut,
  };
}

function asked(session: ClientHttp2Session, path: string, body: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: body === undefined ? "GET" : "POST",
      [constants.HTTP2_HEADER_PATH]: path,
      accept: "application/json",
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    });
    const parts: Uint8Array[] = [];
    let head: { status: number; type: string; dateMs: number | null } | null = null;
    const settle = (act: () => void): void => {
      clearTimeout(late);
      act();
    };
    const answer = (): void => {
      const came = head;
      settle(() => {
        if (came === null) reject(new Silent("the connection ended without an answer"));
        else resolve({ ...came, body: jsonOf(Buffer.concat(parts).toString()) });
      });
    };
    const late = setTimeout(() => {
      stream.close(constants.NGHTTP2_CANCEL);
      reject(new Silent("no answer in time"));
    }, ANSWER_MS);
    stream.on("response", (headers) => {
      const date = Date.parse(String(headers["date"] ?? ""));
      head = {
        status: Number(headers[constants.HTTP2_HEADER_STATUS]),
        type: String(headers["content-type"] ?? ""),
        dateMs: Number.isNaN(date) ? null : date,
      };
    });
    let bytes = 0;
    stream.on("data", (part: Uint8Array) => {
      bytes += part.length;
      parts.push(new Uint8Array(part));
      if (bytes <= MAX_ANSWER_BYTES) return;
      stream.close(constants.NGHTTP2_CANCEL);
      settle(() => reject(new Silent(`the answer is over ${MAX_ANSWER_BYTES} bytes`)));
    });
    // What was answered before the rest was sent is an answer: a body that is too large is not read to its end.
    stream.on("error", answer);
    stream.on("end", answer);
    stream.on("close", answer);
    stream.end(body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body));
  });
}

export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
