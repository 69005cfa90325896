/**
 * A user of the application under load, as a program: looks the name up at the zone's own name server, makes a new TLS connection that
 * checks the certificate, asks, compares the answer. Arguments: name, port, name server, CA file. Each second a line on stdout:
 * `{"served":N,"lost":N,"why":"…"}`. It knows nothing of reeve.
 */
import { Resolver } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { request } from "node:https";

const LANES = 4;
const PAUSE_MS = 20;
const WAIT_MS = 30_000;
const [name = "", port = "", server = "", caFile = ""] = process.argv.slice(2);
const ca = readFileSync(caFile);
const seen = { served: 0, lost: 0, why: "" };

function ask(host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host,
        port: Number(port),
        path: "/",
        ca,
        servername: name,
        headers: { host: name },
        agent: false,
        timeout: WAIT_MS,
      },
      (answer) => {
        let text = "";
        answer.on("data", (part: Buffer) => {
          text += part.toString();
        });
        answer.on("end", () =>
          answer.statusCode === 200 ? resolve(text) : reject(new Error(`status ${answer.statusCode}`)),
        );
        answer.on("error", reject);
      },
    );
    call.on("timeout", () => call.destroy(new Error("no answer")));
    call.on("error", reject);
    call.end();
  });
}

async function lane(): Promise<never> {
  const resolver = new Resolver();
  resolver.setServers([server]);
  for (;;) {
    try {
      const [address] = await resolver.resolve4(name);
      if (address === undefined) throw new Error("the name has no address");
      const text = await ask(address);
      if (text !== "broker 0 answers\n") throw new Error(`another answer: ${text.slice(0, 100)}`);
      seen.served++;
    } catch (error) {
      seen.lost++;
      seen.why ||= String(error);
    }
    await Bun.sleep(PAUSE_MS);
  }
}

setInterval(() => process.stdout.write(`${JSON.stringify(seen)}\n`), 500);
await Promise.all(Array.from({ length: LANES }, lane));
