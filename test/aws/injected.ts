/** One call by our transport to a TLS server of its own, behind a hop that says `record` in the clear once the call arrived. Prints what it became. */
import { readFileSync } from "node:fs";
import { createServer as createTls } from "node:https";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { dialer } from "../../agent/host/dial.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import { awsFailure } from "../../providers/aws/failure.ts";
import { NoAnswer, transport, type WireRequest } from "../../providers/transport.ts";

type Ask = { key: string; cert: string; record: number[] };
const { key, cert, record } = JSON.parse(process.argv[2] ?? "") as Ask;
const listens = (server: Server): Promise<number> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));

let arrived = 0;
const hops: Socket[] = [];
const real = await listens(
  createTls({ key: readFileSync(key), cert: readFileSync(cert) }, (incoming, answer) => {
    incoming.resume();
    incoming.on("end", () => {
      arrived++;
      if (record.length === 0) answer.end();
      else for (const hop of hops) hop.write(Uint8Array.from(record));
    });
  }),
);
const port = await listens(
  createServer((hop) => {
    hops.push(hop);
    const inner = connect(real, "127.0.0.1");
    hop.on("data", (chunk: Uint8Array) => inner.write(chunk));
    inner.on("data", (chunk: Uint8Array) => hop.write(chunk));
    hop.on("error", () => inner.destroy());
    inner.on("error", () => hop.destroy());
    hop.on("close", () => inner.destroy());
  }),
);

const send = transport(dialer(DIRECT), { timeoutMs: 8000, maxBytes: 1_000_000 });
const headers = { host: `localhost:${port}` };
const call: WireRequest = {
  ...{ protocol: "https:", hostname: "localhost", port, path: "/", method: "POST" },
  ...{ headers, body: new Uint8Array([120]) },
};
const error = await send(call, () => undefined).then(
  () => null,
  (thrown: unknown) => thrown,
);
if (error !== null && !(error instanceof NoAnswer)) throw error;
const { effect } = error === null ? { effect: "answered" } : awsFailure(error, "change", { request: null, http: 0 });
process.stdout.write(JSON.stringify({ arrived, status: error?.status, bytesLeft: error?.bytesLeft, effect }));
process.exit(0);
