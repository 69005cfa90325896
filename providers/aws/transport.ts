import { request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { isIP } from "node:net";
import { hostText } from "./endpoints.ts";

/** A request of the SDK, signed or about to be. */
export type SdkRequest = {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  readonly path: string;
  readonly method: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>> | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
};
export type SdkResponse = {
  readonly response: { statusCode: number; reason: string; headers: Record<string, string>; body: Uint8Array };
};

/** No whole answer came. `bytesLeft`: the request, or a part of it, may have reached the other side. */
export class NoAnswer extends Error {
  constructor(
    readonly status: string,
    readonly bytesLeft: boolean,
    message: string,
  ) {
    super(message);
    this.name = "NoAnswer";
  }
}

/** Errors of a connection that did not come about. Those of a connection that stood (a route can end later) say nothing of what left. */
const BEFORE: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection-refused",
  ENOTFOUND: "dns",
  EAI_AGAIN: "dns",
  EHOSTUNREACH: "no-route",
  ENETUNREACH: "no-route",
};
/** The peer's certificate is not accepted. */
const CERTIFICATE = /CERT|SIGNATURE|ERR_TLS|CRL/;
/** TLS itself broke: at any time, also long after the request left. */
const PROTOCOL = /^ERR_SSL/;

/** Where a request really goes, as the gate compares it. */
export function hostOf(request: SdkRequest): string {
  return hostText(request.protocol, request.hostname, request.port === undefined ? "" : String(request.port));
}

/**
 * Sends one request on a connection of its own: nothing is sent twice by what lies beneath, and no proxy or redirect is followed.
 * `beforeBytes` is called last, with the request as it is signed; what it throws is thrown, and nothing was sent.
 */
export function transport(limits: {
  readonly timeoutMs: number;
  readonly maxBytes: number;
}): (request: SdkRequest, beforeBytes: (request: SdkRequest) => void) => Promise<SdkResponse> {
  return (request, beforeBytes) =>
    new Promise((resolve, reject) => {
      const body = bodyOf(request.body);
      beforeBytes(request);
      const tls = request.protocol === "https:";
      const send = tls ? tlsRequest : plainRequest;
      let stands = false;
      const outgoing = send({
        host: request.hostname,
        ...(request.port === undefined ? {} : { port: request.port }),
        path: pathOf(request),
        method: request.method,
        headers: { ...request.headers },
        // A connection of its own: one that is kept may be closed at the other end just when a change is written on it.
        agent: false,
        // Explicit: a variable (NODE_TLS_REJECT_UNAUTHORIZED) must not decide it.
        rejectUnauthorized: true,
        // Else the Host header would say whose certificate is good.
        ...(tls ? { servername: serverNameOf(request.hostname) } : {}),
      });
      const fail = (error: NoAnswer): void => {
        clearTimeout(timer);
        outgoing.destroy();
        reject(error);
      };
      const timer = setTimeout(
        () => fail(new NoAnswer("timeout", true, `no answer in ${limits.timeoutMs} ms`)),
        limits.timeoutMs,
      );
      outgoing.on("socket", (socket) => {
        socket.once(tls ? "secureConnect" : "connect", () => {
          stands = true;
        });
      });
      outgoing.on("error", (error) => fail(noAnswer(error, stands)));
      outgoing.on("response", (incoming) => {
        const chunks: Uint8Array[] = [];
        let size = 0;
        incoming.on("data", (chunk: Uint8Array) => {
          size += chunk.length;
          if (size > limits.maxBytes) fail(new NoAnswer("answer-too-long", true, `over ${limits.maxBytes} bytes`));
          else chunks.push(chunk);
        });
        incoming.on("error", (error) => fail(noAnswer(error, true)));
        incoming.on("aborted", () => fail(new NoAnswer("reset", true, "the answer was cut short")));
        incoming.on("end", () => {
          clearTimeout(timer);
          const headers = Object.fromEntries(
            Object.entries(incoming.headers).map(([name, value]) => [name.toLowerCase(), [value].flat().join(", ")]),
          );
          const { statusCode = 0, statusMessage = "" } = incoming;
          resolve({ response: { statusCode, reason: statusMessage, headers, body: Buffer.concat(chunks) } });
        });
      });
      outgoing.end(body);
    });
}

/** For `servername`: an address has none, and is checked as the host that is connected to. */
export function serverNameOf(hostname: string): string {
  return isIP(hostname.replace(/^\[|\]$/g, "")) === 0 ? hostname : "";
}

function bodyOf(body: unknown): string | Uint8Array | undefined {
  if (body === undefined || typeof body === "string" || body instanceof Uint8Array) return body;
  throw new Error("the SDK made a body that is not bytes");
}

/** RFC 3986: the same escaping that the request was signed with. */
function pathOf({ path, query = {} }: SdkRequest): string {
  const pairs = Object.keys(query)
    .sort()
    .flatMap((key) => {
      const value = query[key];
      const values = value === null || value === undefined ? [null] : [value].flat();
      return values.map((each) => (each === null ? escaped(key) : `${escaped(key)}=${escaped(each)}`));
    });
  return pairs.length === 0 ? path : `${path}?${pairs.join("&")}`;
}

function escaped(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** `stands`: the connection, with its TLS, came about, so the request may have left whatever the error is. In doubt it has. */
export function noAnswer(error: Error & { code?: unknown }, stands: boolean): NoAnswer {
  const code = typeof error.code === "string" ? error.code : "";
  const before = BEFORE[code];
  if (before !== undefined) return new NoAnswer(before, stands, error.message);
  if (PROTOCOL.test(code)) return new NoAnswer("tls-broken", true, `${code}: ${error.message}`);
  if (CERTIFICATE.test(code)) return new NoAnswer("tls", stands, `${code}: ${error.message}`);
  return new NoAnswer(code === "ETIMEDOUT" ? "timeout" : "reset", true, error.message);
}
