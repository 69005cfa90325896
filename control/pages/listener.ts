import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { connect, type Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import type { Authority } from "../ca.ts";
import { keep, type Listening, listen, whenListening } from "../listeners.ts";
import type { Moments } from "../moment.ts";
import type { Store } from "../store.ts";
import { checkPeopleCa, isLoopback, type PagesOptions } from "./access.ts";
import { pagesApp } from "./app.ts";
import { type Counts, countingApp } from "./counts.ts";

type Deps = {
  readonly store: Store;
  readonly counts: Counts;
  readonly authority: Authority;
  readonly moments: Pick<Moments, "newest">;
};

/**
 * Opens the listener for people. By certificate: TLS, whose clients' certificates come from the people's CA and from nowhere else. Behind a proxy: plain
 * HTTP, on loopback or a unix socket alone. Throws a Complaint for a CA that is an agents' one.
 */
export async function openPages(options: PagesOptions, bind: string | undefined, deps: Deps): Promise<Listening> {
  const { at, access } = options;
  let port = 0;
  const app = countingApp(pagesApp({ ...options, ...deps, port: () => port }), "pages", deps.counts);
  if (access.by === "certificate" && !("socket" in at)) {
    checkPeopleCa(access.ca, deps.authority.clientRoots, Date.now());
    return listen(app, deps, bind ?? at.host, at.port, access.ca);
  }
  const server = createServer(getRequestListener(app.fetch as never, { overrideGlobalObjects: false }) as never);
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => keep(sockets, socket));
  const close = (): Promise<void> => closeServer(server, sockets);
  if ("socket" in at) {
    await freeSocket(at.socket);
    // Whoever may connect may name anybody: the proxy's group, and nobody else, from the first moment on.
    const mask = process.umask(0o117);
    try {
      await whenListening(server, () => server.listen(at.socket));
    } finally {
      process.umask(mask);
    }
    chmodSync(at.socket, 0o660);
    return { port: 0, close };
  }
  await whenListening(server, () => server.listen(at.port, at.host));
  const bound = server.address();
  if (bound === null || typeof bound === "string" || !isLoopback(bound.address)) {
    await close();
    throw new Error("bound to what is no loopback address");
  }
  port = bound.port;
  return { port, close };
}

/** A socket's file outlives a process that was killed: it goes when nobody answers behind it. */
async function freeSocket(path: string): Promise<void> {
  const isSocket = lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
  if (isSocket && !(await answers(path))) unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function closeServer(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of sockets) socket.destroy();
  await closed;
}
