import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Azure's word of the machine that asks, as far as the agent reads it. */
const COMPUTE = JSON.stringify({
  name: "reeve-0",
  subscriptionId: "0b1f6471-1bf0-4dda-aec3-cb9272f09590",
  resourceGroupName: "prod-eu-1",
  vmScaleSetName: "",
});

/**
 * Where a cloud's machine would ask its metadata service: answers at once, as each cloud's would to a machine that no group made, so that what
 * is measured is the agent. A token for AWS, a machine for Azure; of everything else it says that it is not there, by Google's header too.
 */
export async function startMetadata(): Promise<{ readonly url: string; stop(): void }> {
  const server = createServer((request, response) => {
    if (request.method === "PUT") response.end("token");
    else if (request.url?.startsWith("/metadata/instance/compute") === true) response.end(COMPUTE);
    else response.writeHead(404, { "metadata-flavor": "Google" }).end();
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, stop: () => void server.close() };
}
