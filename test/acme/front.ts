import { createServer, request } from "node:https";
import { connect, createServer as createTcpServer, type Socket } from "node:net";
import { serverTls } from "./tls.ts";

/** What stands between the agent and its counterparts, and can strike: the agent dies while a call is on its way, and nobody hears the answer. */
export type Front = {
  readonly directory: string;
  readonly root: string;
  /** HOST:PORT of the name server, through here. */
  readonly dns: string;
  /** Calls as they came, oldest first: `acme:finalize-order`, `dns:UPDATE`. */
  readonly came: string[];
  /** The nth call of this name from now on, before it is passed on, or after it had its effect. Once. */
  strike(
    at: { readonly call: string; readonly nth: number; readonly moment: "before" | "after" },
    then: () => Promise<void>,
  ): void;
  stop(): Promise<void>;
};

const UPDATE = 5;

export async function startFront(pebblePort: number, bindPort: number): Promise<Front> {
  const came: string[] = [];
  let armed: { call: string; left: number; moment: string; then: () => Promise<void> } | null = null;
  /** The strike of this call, counted down when it comes. */
  const meets = (call: string): ((moment: string) => Promise<boolean>) => {
    came.push(call);
    const mine = armed !== null && armed.call === call && armed.left-- === 0 ? armed : null;
    if (mine !== null) armed = null;
    return async (moment) => {
      if (mine?.moment !== moment) return false;
      await mine.then();
      return true;
    };
  };
  const tls = await serverTls();
  const server = createServer({ cert: tls.cert, key: tls.key }, (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", async () => {
      const { method = "", url = "", headers } = incoming;
      const struck = meets(`acme:${url.split("/")[1] ?? ""}`);
      if (await struck("before")) return void incoming.socket.destroy();
      const to = { host: "127.0.0.1", port: pebblePort, method, path: url, headers, rejectUnauthorized: false };
      const passed = request(to, (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.on("end", async () => {
          if (await struck("after")) return void incoming.socket.destroy();
          outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
          outgoing.end(Buffer.concat(parts));
        });
      });
      passed.on("error", () => incoming.socket.destroy());
      passed.end(Buffer.concat(chunks));
    });
  });
  const dns = createTcpServer((client) => {
    const upstream = connect(bindPort, "127.0.0.1");
    const close = (): void => {
      client.destroy();
      upstream.destroy();
    };
    let struck: ReturnType<typeof meets> | null = null;
    client.on("data", async (bytes: Buffer) => {
      struck = meets(((bytes.readUInt16BE(4) >> 11) & 15) === UPDATE ? "dns:UPDATE" : "dns:QUERY");
      if (await struck("before")) close();
      else upstream.write(bytes);
    });
    upstream.on("data", async (bytes: Buffer) => {
      if (await struck?.("after")) close();
      else client.write(bytes);
    });
    for (const socket of [client, upstream] satisfies Socket[]) {
      socket.on("error", close);
      socket.on("close", close);
    }
  });
  const port = await listening(server);
  const dnsPort = await listening(dns);
  return {
    directory: `https://localhost:${port}/dir`,
    root: tls.root,
    dns: `127.0.0.1:${dnsPort}`,
    came,
    strike({ call, nth, moment }, then) {
      armed = { call, left: nth - 1, moment, then };
    },
    async stop() {
      server.closeAllConnections();
      await Promise.all([server, dns].map((one) => new Promise((resolve) => one.close(resolve))));
    },
  };
}

async function listening(server: ReturnType<typeof createTcpServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
