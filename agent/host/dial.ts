import { connect as connectTcp, isIP, type Socket } from "node:net";
import { checkServerIdentity, connect as connectTls, type TLSSocket } from "node:tls";
import { type Egress, proxyFor, tunnel } from "./proxy.ts";
import { type Place, reasonOf, type Unreachable, type Wait, withinWait } from "./socket.ts";

/** Where a connection goes. `roots`: PEM, the only ones trusted; null: those that the runtime brings. Plain connections trust nobody. */
export type DialPlace = Place & { readonly tls: boolean; readonly roots: readonly string[] | null };
export type Connection = Socket;
/**
 * A new connection, after TLS's handshake where there is one; nothing of ours was written inside it. Each is for one use. With TLS the
 * peer's certificate is of the place's host, by a chain to the roots.
 */
export type Dial = (to: DialPlace, wait: Wait) => Promise<Connection | Unreachable>;

/**
 * Connections as the config's `egress` says. What is plain goes directly whatever it says: the config permits it to this machine and its
 * metadata service alone, which a proxy elsewhere must not stand in for.
 */
export function dialer(egress: Egress): Dial {
  return async (to, wait) => {
    if (!to.tls) return plain(to, wait);
    const proxy = proxyFor(egress, to);
    if (proxy === null) return handshake({ host: to.host, port: to.port }, to, wait);
    const began = performance.now();
    const socket = await tunnel(proxy, to, wait);
    if ("unreachable" in socket) return socket;
    const left = wait.timeoutSeconds - (performance.now() - began) / 1000;
    const tls = await handshake({ socket }, to, { ...wait, timeoutSeconds: Math.max(left, 0) });
    if ("unreachable" in tls) socket.destroy();
    return tls;
  };
}

function plain({ host, port }: Place, wait: Wait): Promise<Socket | Unreachable> {
  return withinWait<Socket>(wait, (end) => {
    const socket = connectTcp({ host, port });
    // Stays for the socket's life: an error without a listener would end the process.
    socket.on("error", (error) => end({ unreachable: reasonOf(error) }));
    socket.once("close", () => end({ unreachable: "reset" }));
    socket.once("connect", () => end(socket));
    return () => socket.destroy();
  });
}

async function handshake(
  over: Place | { readonly socket: Socket },
  { host, roots }: DialPlace,
  wait: Wait,
): Promise<Socket | Unreachable> {
  const socket = await withinWait<TLSSocket>(wait, (end) => {
    const socket = connectTls({
      ...over,
      // RFC 6066 section 3: never an address.
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(roots === null ? {} : { ca: [...roots] }),
      ALPNProtocols: ["http/1.1"],
      minVersion: "TLSv1.2",
      // Explicit: a variable (NODE_TLS_REJECT_UNAUTHORIZED) must not decide it.
      rejectUnauthorized: true,
      checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
    });
    socket.on("error", (error) => end({ unreachable: reasonOf(error) }));
    socket.once("close", () => end({ unreachable: "reset" }));
    socket.once("secureConnect", () => end(socket));
    return () => socket.destroy();
  });
  if ("unreachable" in socket) return socket;
  const fault = peerFault(socket, host);
  if (fault === null) return socket;
  socket.destroy();
  return { unreachable: fault };
}

/** Asked again of the socket itself: a missing answer of the runtime counts as no. */
function peerFault(socket: TLSSocket, host: string): string | null {
  if (socket.authorized !== true) return "tls: unauthorized";
  return checkServerIdentity(host, socket.getPeerCertificate()) === undefined ? null : "tls: name";
}
