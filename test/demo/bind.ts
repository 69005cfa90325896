/** A real name server for the demo; where there is none to be had, a zone file stands in for it. */
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { type Background, run, start, stop } from "./stage.ts";
import { candidates, findTool, type Tool } from "./tools.ts";

export type NameServer = {
  readonly port: number;
  /** TSIG: the key's name and its secret in base64. */
  readonly key: string;
  readonly secret: string;
  readonly version: string;
  /** What `dig` is run with. */
  readonly env: Readonly<Record<string, string>>;
  dig(name: string, type: string): readonly string[];
};

const KEY = "reeve-demo";
const START_TRIES = 60;

export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") throw new Error("no port");
      server.close(() => resolve(address.port));
    });
  });
}

/** Null when there is no BIND to be had. The server permits one key, one name's subtree and one type: a refusal of its own. */
export async function startNameServer(
  folder: string,
  cache: string,
  zone: string,
  below: string,
): Promise<NameServer | null> {
  const dig = await findTool("dig", cache);
  if (dig === null) return null;
  // An installed one may be kept from other folders than its own (AppArmor): then a fetched one is tried.
  for await (const named of candidates("named", cache)) {
    const server = await tryStart(named, dig, folder, zone, below);
    if (server !== null) return server;
  }
  return null;
}

async function tryStart(
  named: Tool,
  dig: Tool,
  folder: string,
  zone: string,
  below: string,
): Promise<NameServer | null> {
  const version = await run([named.path, "-v"], { env: named.env });
  if (version.code !== 0) return null;
  const port = await freePort();
  const secret = randomBytes(32).toString("base64");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
  writeFileSync(`${folder}/zone`, zoneText(zone));
  writeFileSync(`${folder}/named.conf`, configText(folder, port, secret, zone, below), { mode: 0o600 });
  const server = start([named.path, "-f", "-c", `${folder}/named.conf`], named.env);
  const at = ["@127.0.0.1", "-p", String(port)];
  const up = await answers(server, async () => {
    const done = await run([dig.path, "+short", "+time=1", "+tries=1", ...at, zone, "SOA"], { env: dig.env });
    return done.code === 0 && /^ns\./m.test(done.stdout);
  });
  if (!up) {
    await stop(server, "SIGKILL");
    return null;
  }
  return {
    port,
    key: KEY,
    secret,
    version: version.stdout.trim().split(" (")[0] ?? "BIND",
    env: dig.env,
    dig: (name, type) => [dig.path, "+noall", "+answer", ...at, name, type],
  };
}

async function answers(named: Background, ask: () => Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < START_TRIES && named.child.exitCode === null; tries++) {
    if (await ask()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

export function zoneText(zone: string): string {
  return [
    `$ORIGIN ${zone}.`,
    "$TTL 60",
    `@ IN SOA ns.${zone}. hostmaster.${zone}. 1 3600 600 86400 60`,
    `@ IN NS ns.${zone}.`,
    "ns IN A 127.0.0.1",
    "www IN A 10.20.0.1",
    "",
  ].join("\n");
}

function configText(folder: string, port: number, secret: string, zone: string, below: string): string {
  return `options {
  directory "${folder}"; pid-file none; session-keyfile none; recursion no; dnssec-validation no;
  listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };
};
controls { };
logging { channel file { file "${folder}/log"; severity info; }; category default { file; }; };
key "${KEY}" { algorithm hmac-sha256; secret "${secret}"; };
zone "${zone}" {
  type primary; file "${folder}/zone"; journal "${folder}/zone.jnl";
  update-policy { grant ${KEY} subdomain ${below}. A; };
};
`;
}
