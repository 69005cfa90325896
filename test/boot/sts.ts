import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCa, makeLeaf } from "../identity/plane.ts";

export const STS_HOST = "sts.eu-west-1.amazonaws.com";

/** What came over TLS, before anybody judged it. */
export type Came = {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
};
export type Front = {
  /** HOST:PORT. */
  readonly at: string;
  /** For `reeve-control serve --proofs`. */
  readonly file: string;
  readonly ca: string;
  readonly came: Came[];
  /** Instead of what STS answers; null: what it does. */
  instead: { status: number; headers: Record<string, string>; body: string } | null;
  stop(): Promise<void>;
};

/** TLS for the world's STS, by a CA of this test alone: what comes is passed on byte for byte, with the host it was meant for. */
export async function startFront(sts: string): Promise<Front> {
  const ca = await makeCa("reeve test STS");
  const leaf = await makeLeaf(ca, { san: { type: "dns", value: STS_HOST } });
  const folder = mkdtempSync(join(tmpdir(), "reeve-sts-"));
  const { hostname, port } = new URL(sts);
  const server = createServer({ key: leaf.key, cert: leaf.pem }, (incoming, outgoing) => {
    const parts: Buffer[] = [];
    incoming.on("data", (part: Buffer) => parts.push(part));
    incoming.on("end", () => {
      const body = Buffer.concat(parts);
      const { method = "", url: path = "", headers } = incoming;
      front.came.push({ method, path, headers, body: body.toString() });
      if (front.instead !== null) {
        outgoing.writeHead(front.instead.status, front.instead.headers).end(front.instead.body);
        return;
      }
      const on = request({ hostname, port, method, path, headers, agent: false }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(outgoing);
      });
      on.on("error", () => outgoing.destroy());
      on.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const at = `127.0.0.1:${address.port}`;
  const [caFile, file] = [join(folder, "ca.pem"), join(folder, "proofs.yaml")];
  writeFileSync(caFile, ca.pem);
  writeFileSync(
    file,
    `aws:\n  sts:\n    eu-west-1: { partition: aws, host: ${STS_HOST}, at: "${at}", ca: ${caFile} }\n`,
  );
  const front: Front = {
    at,
    file,
    ca: ca.pem,
    came: [],
    instead: null,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return front;
}
