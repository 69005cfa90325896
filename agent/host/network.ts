import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { isIP, type Socket } from "node:net";
import { checkServerIdentity, connect as connectTls, type TLSSocket } from "node:tls";
import { PING_EVERY_SECONDS, PINGS_UNANSWERED_MAX } from "../limits.ts";
import { type Egress, proxyFor, tunnel } from "./proxy.ts";
import { type Place, placeOf, reasonOf, type Unreachable, type Wait, withinWait } from "./socket.ts";

export type Answer = {
  readonly status: number;
  readonly body: Uint8Array;
  /** The server's clock when it answered (the Date header), in milliseconds since 1970; null when it did not say. */
  readonly dateMs: number | null;
};
export type Ask = {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** JSON text; null for GET. */
  readonly body: string | null;
  readonly maxAnswerBytes: number;
};

/** One connection to a server whose certificate was checked before anything was sent on it. */
export type Line = {
  /** Many may be under way at once. An answer is JSON, uncompressed, no redirect, within its bound; anything else is unreachable. */
  ask(ask: Ask, wait: Wait): Promise<Answer | Unreachable>;
  readonly closed: boolean;
  /** Drops the connection now; what is under way ends as "closed". */
  close(): void;
};

export type Network = {
  /** Reads the chain a server shows, leaf first as DER, and sends nothing: nobody is trusted yet. */
  shownChain(url: string, wait: Wait): Promise<{ readonly chain: readonly Uint8Array[] } | Unreachable>;
  /** `roots`: PEM, the only ones trusted. `client`: certificate chain and PKCS #8 key, PEM. */
  connect(
    to: {
      readonly url: string;
      readonly roots: readonly string[];
      readonly client: { readonly certificate: string; readonly key: string } | null;
    },
    wait: Wait,
  ): Promise<Line | Unreachable>;
};

type TlsOptions = {
  rejectUnauthorized: boolean;
  ca?: string[];
  cert?: string;
  key?: string;
};

/** A TLS connection after its handshake, through the proxy where there is one. Nothing of ours was written inside it. */
async function openTls(
  egress: Egress,
  place: Place,
  options: TlsOptions,
  wait: Wait,
): Promise<TLSSocket | Unreachable> {
  const proxy = proxyFor(egress, place);
  if (proxy === null) return handshake({ host: place.host, port: place.port }, place, options, wait);
  const began = performance.now();
  const socket = await tunnel(proxy, place, wait);
  if ("unreachable" in socket) return socket;
  const left = wait.timeoutSeconds - (performance.now() - began) / 1000;
  const tls = await handshake({ socket }, place, options, { ...wait, timeoutSeconds: Math.max(left, 0) });
  if ("unreachable" in tls) socket.destroy();
  return tls;
}

function handshake(
  over: { readonly host: string; readonly port: number } | { readonly socket: Socket },
  place: Place,
  options: TlsOptions,
  wait: Wait,
): Promise<TLSSocket | Unreachable> {
  return withinWait<TLSSocket>(wait, (end) => {
    const socket = connectTls({
      ...over,
      // Over a tunnel the runtime knows no host of its own to name (RFC 6066 section 3: never an address).
      ...(isIP(place.host) === 0 ? { servername: place.host } : {}),
      ALPNProtocols: ["h2"],
      minVersion: "TLSv1.3",
      // Explicit: a variable (NODE_TLS_REJECT_UNAUTHORIZED) must not decide it.
      ...options,
    });
    // Stays for the socket's life: an error without a listener would end the process.
    socket.on("error", (error) => end({ unreachable: reasonOf(error) }));
    socket.once("close", () => end({ unreachable: "reset" }));
    socket.once("secureConnect", () => end(socket));
    return () => socket.destroy();
  });
}

/** The socket's peer is who `place` names, by a chain to the given roots. A missing answer of the runtime counts as no. */
function peerFault(socket: TLSSocket, place: Place): string | null {
  if (socket.authorized !== true) return "tls: unauthorized";
  if (socket.alpnProtocol !== "h2") return "tls: no HTTP/2";
  return checkServerIdentity(place.host, socket.getPeerCertificate()) === undefined ? null : "tls: name";
}

async function shownChain(egress: Egress, url: string, wait: Wait): ReturnType<Network["shownChain"]> {
  const place = placeOf(url);
  if (place === null) return { unreachable: "address" };
  // Nobody is trusted here, so nobody is refused; nothing is sent either.
  const socket = await openTls(egress, place, { rejectUnauthorized: false }, wait);
  if ("unreachable" in socket) return socket;
  const chain: Uint8Array[] = [];
  let certificate = socket.getPeerCertificate(true);
  while (certificate?.raw !== undefined && chain.length < 8) {
    chain.push(new Uint8Array(certificate.raw));
    const issuer = certificate.issuerCertificate;
    if (issuer === undefined || issuer === certificate || issuer.raw?.equals(certificate.raw) === true) break;
    certificate = issuer;
  }
  socket.destroy();
  return { chain };
}

async function connect(egress: Egress, to: Parameters<Network["connect"]>[0], wait: Wait): Promise<Line | Unreachable> {
  const place = placeOf(to.url);
  if (place === null) return { unreachable: "address" };
  const client = to.client === null ? {} : { cert: to.client.certificate, key: to.client.key };
  // A socket of its own for each line: no pool that could hand out a connection made with an older certificate.
  const socket = await openTls(egress, place, { rejectUnauthorized: true, ca: [...to.roots], ...client }, wait);
  if ("unreachable" in socket) return socket;
  const fault = peerFault(socket, place);
  if (fault !== null) {
    socket.destroy();
    return { unreachable: fault };
  }
  return lineOver(socket, to.url);
}

function lineOver(socket: TLSSocket, url: string): Line {
  let why = "closed";
  let closed = false;
  const session = connectHttp2(url, { createConnection: () => socket, settings: { enablePush: false } });
  const underWay = new Set<(result: Unreachable) => void>();
  const shut = () => {
    closed = true;
    clearInterval(pulse);
    if (!session.destroyed) session.destroy();
    socket.destroy();
    for (const end of underWay) end({ unreachable: why });
  };
  const onError = (error: unknown) => {
    why = reasonOf(error);
    shut();
  };
  // A long poll is silent by its nature: without a PING (RFC 9113 section 6.7) a connection that a firewall has cut looks like one.
  // Counted by unanswered ones, not by time: what held this process up held the answers up too.
  let unanswered = 0;
  const pulse = setInterval(() => {
    if (closed || underWay.size === 0) return;
    if (unanswered >= PINGS_UNANSWERED_MAX) {
      why = "timeout";
      return shut();
    }
    unanswered++;
    session.ping(() => {
      unanswered = 0;
    });
  }, PING_EVERY_SECONDS * 1000);
  pulse.unref();
  session.on("error", onError);
  socket.on("error", onError);
  session.once("close", shut);
  session.once("goaway", shut);
  socket.once("close", shut);
  return {
    ask(ask, wait) {
      if (wait.signal?.aborted === true) return Promise.resolve({ unreachable: "aborted" });
      if (closed || session.destroyed || session.closed) return Promise.resolve({ unreachable: why });
      return askOver(session, ask, wait, underWay);
    },
    get closed() {
      return closed;
    },
    close: shut,
  };
}

function headerFault(headers: Readonly<Record<string, unknown>>): string | null {
  const status = Number(headers[constants.HTTP2_HEADER_STATUS]);
  if (status >= 300 && status < 400) return "answer: redirect";
  if (!Number.isInteger(status) || status < 200 || status > 599) return "answer: status";
  if (headers["content-encoding"] !== undefined) return "answer: compressed";
  const type = String(headers["content-type"] ?? "");
  return /^application\/json(?:; *charset=utf-8)?$/i.test(type) ? null : "answer: not JSON";
}

/** An IMF-fixdate (RFC 9110 section 5.6.7) in milliseconds; null for anything else. */
function dateOf(text: unknown): number | null {
  if (typeof text !== "string" || !/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text))
    return null;
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time;
}

function askOver(
  session: ClientHttp2Session,
  ask: Ask,
  wait: Wait,
  underWay: Set<(result: Unreachable) => void>,
): Promise<Answer | Unreachable> {
  return new Promise((resolve) => {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: ask.method,
      [constants.HTTP2_HEADER_PATH]: ask.path,
      accept: "application/json",
      ...(ask.body === null ? {} : { "content-type": "application/json" }),
    });
    let status = 0;
    let dateMs: number | null = null;
    let size = 0;
    const parts: Uint8Array[] = [];
    let ended = false;
    const end = (result: Answer | Unreachable) => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      wait.signal?.removeEventListener("abort", onAbort);
      underWay.delete(end);
      if ("unreachable" in result && !stream.destroyed) stream.close(constants.NGHTTP2_CANCEL);
      resolve(result);
    };
    const onAbort = () => end({ unreachable: "aborted" });
    const timer = setTimeout(() => end({ unreachable: "timeout" }), wait.timeoutSeconds * 1000);
    wait.signal?.addEventListener("abort", onAbort, { once: true });
    underWay.add(end);
    stream.on("error", (error) => end({ unreachable: reasonOf(error) }));
    stream.on("response", (headers) => {
      status = Number(headers[constants.HTTP2_HEADER_STATUS]);
      dateMs = dateOf(headers["date"]);
      const fault = headerFault(headers);
      if (fault !== null) end({ unreachable: fault });
    });
    stream.on("data", (part: Uint8Array) => {
      size += part.length;
      if (size > ask.maxAnswerBytes) end({ unreachable: "answer: too long" });
      else parts.push(new Uint8Array(part));
    });
    stream.on("end", () =>
      end(status === 0 ? { unreachable: "reset" } : { status, body: Buffer.concat(parts), dateMs }),
    );
    stream.on("close", () => end({ unreachable: "reset" }));
    stream.end(ask.body ?? undefined);
  });
}

/** The machine's network. The agent only ever connects; nothing here can accept. A proxy is used when `egress` names one, by nobody's leave else. */
export function realNetwork(egress: Egress): Network {
  return {
    shownChain: (url, wait) => shownChain(egress, url, wait),
    connect: (to, wait) => connect(egress, to, wait),
  };
}
