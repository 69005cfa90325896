import type { Server as PlainServer } from "node:http";
import type { Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";

export type Listening = { readonly endpoint: string; readonly port: number; stop(): Promise<void> };

/** On a port of the kernel's choice. */
export async function listening(server: PlainServer | TlsServer, protocol: "http" | "https"): Promise<Listening> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    endpoint: `${protocol}://127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
