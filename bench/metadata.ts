import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * Where a cloud's machine would ask its metadata service: answers at once, so that what is measured is the agent. Gives a token (AWS), and
 * says of everything else that it is not there.
 */
export async function startMetadata(): Promise<{ readonly url: string; stop(): void }> {
  const server = createServer((request, response) => {
    if (request.method === "PUT") response.end("token");
    else response.writeHead(404).end();
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, stop: () => void server.close() };
}
