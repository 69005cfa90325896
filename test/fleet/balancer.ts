import { connect, createServer, type Server, type Socket } from "node:net";

/** One name before several servers: each connection goes to the next of them that takes it. */
export type Balancer = { readonly port: number; end(): Promise<void> };

export async function balancer(
  behind: () => readonly { readonly host: string; readonly port: number }[],
): Promise<Balancer> {
  const sockets = new Set<Socket>();
  let turn = 0;
  const server: Server = createServer((came) => {
    keep(came);
    const to = behind();
    const first = turn++;
    const next = (tried: number): void => {
      const at = to[(first + tried) % Math.max(1, to.length)];
      if (at === undefined || tried >= to.length) return void came.destroy();
      const there = connect(at, () => {
        came.pipe(there);
        there.pipe(came);
      });
      keep(there);
      let open = false;
      there.once("connect", () => {
        open = true;
      });
      there.once("close", () => (open || came.destroyed ? came.destroy() : next(tried + 1)));
      came.once("close", () => there.destroy());
    };
    next(0);
  });
  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a listener without a port");
  return {
    port: address.port,
    async end() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
