/** A server that only this machine's own programs reach. The agent has none (invariant 7): only the customer's `audit ui` listens, while it runs. */
const ADDRESS = "127.0.0.1";
const MAX_BODY_BYTES = 1024;
/** A stream of the log may pause for a slow reader. */
const IDLE_SECONDS = 120;

export type Loopback = { readonly port: number; stop(): Promise<void> };

/** `port` 0: one that is free. Throws what the kernel refuses, EADDRINUSE among it. */
export function listenOnLoopback(answer: (request: Request) => Response | Promise<Response>, port: number): Loopback {
  const server = Bun.serve({
    hostname: ADDRESS,
    port,
    fetch: answer,
    maxRequestBodySize: MAX_BODY_BYTES,
    idleTimeout: IDLE_SECONDS,
    development: false,
    error: () => new Response("the log could not be read\n", { status: 500 }),
  });
  const { port: taken } = server;
  if (taken === undefined) throw new Error("a listener without a port");
  return { port: taken, stop: () => server.stop(true) };
}
