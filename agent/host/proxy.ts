import { connect as connectTcp, type Socket } from "node:net";
import { MAX_PROXY_HEAD_BYTES } from "../limits.ts";
import { type Place, placeName, reasonOf, type Unreachable, type Wait, withinWait } from "./socket.ts";

/** An HTTP proxy that is asked for tunnels. */
export type Proxy = {
  readonly place: Place;
  /** `USER:PASSWORD`, read anew for each tunnel, or why it cannot be had. Null: the proxy asks for none. */
  readonly credentials: (() => { readonly pair: string } | Unreachable) | null;
};

/** How the machine's connections leave it: what the config's `egress` says, and nothing else. */
export type Egress = {
  /** Null: everything goes directly. */
  readonly proxy: Proxy | null;
  /** `HOST:PORT` of the places that go directly although there is a proxy. */
  readonly direct: ReadonlySet<string>;
};
export const DIRECT: Egress = { proxy: null, direct: new Set() };

/** The proxy that a connection to `place` goes through; null for none. */
export function proxyFor(egress: Egress, place: Place): Proxy | null {
  return egress.direct.has(placeName(place)) ? null : egress.proxy;
}

/**
 * A connection to `to` through the proxy, by CONNECT (RFC 9110 section 9.3.6). The proxy learns host and port, and its own credentials;
 * nothing else was written when this returns. What it may answer is bounded in bytes and by the wait; reasons begin with "proxy: ".
 */
export function tunnel(proxy: Proxy, to: Place, wait: Wait): Promise<Socket | Unreachable> {
  const credentials = proxy.credentials === null ? null : proxy.credentials();
  if (credentials !== null && "unreachable" in credentials) return Promise.resolve(credentials);
  const opened = withinWait<Socket>(wait, (end) => {
    const socket = connectTcp({ host: proxy.place.host, port: proxy.place.port });
    let head: Buffer = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const fault = headFault(head);
      if (fault === "unfinished") return;
      socket.removeListener("data", onData);
      socket.pause();
      end(fault === null ? socket : { unreachable: fault });
    };
    socket.on("data", onData);
    socket.once("connect", () => socket.write(requestFor(to, credentials?.pair ?? null)));
    // Stays for the socket's life: an error without a listener would end the process.
    socket.on("error", (error) => end({ unreachable: reasonOf(error) }));
    socket.once("close", () => end({ unreachable: "reset" }));
    return () => socket.destroy();
  });
  return opened.then((result) =>
    "unreachable" in result && result.unreachable !== "aborted" && !result.unreachable.startsWith("proxy: ")
      ? { unreachable: `proxy: ${result.unreachable}` }
      : result,
  );
}

function requestFor(to: Place, pair: string | null): string {
  const name = placeName(to);
  const authorization =
    pair === null ? "" : `Proxy-Authorization: Basic ${Buffer.from(pair, "utf8").toString("base64")}\r\n`;
  return `CONNECT ${name} HTTP/1.1\r\nHost: ${name}\r\n${authorization}\r\n`;
}

/** Null when the head says that the tunnel is open, and nothing came after it; "unfinished" while it may still come to that. */
function headFault(bytes: Buffer): string | null {
  const text = bytes.subarray(0, MAX_PROXY_HEAD_BYTES).toString("latin1");
  const begin = "HTTP/1.";
  if (!text.startsWith(begin.slice(0, text.length))) return "proxy: not HTTP";
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return bytes.length < MAX_PROXY_HEAD_BYTES ? "unfinished" : "proxy: endless head";
  const status = /^HTTP\/1\.[01] (\d{3})(?: [^\r\n]*)?\r\n/.exec(text)?.[1];
  if (status === undefined) return "proxy: not HTTP";
  if (!status.startsWith("2")) return `proxy: ${status}`;
  // TLS begins with our own bytes: whoever spoke first is not the server.
  return bytes.length === end + 4 ? null : "proxy: bytes before TLS";
}
