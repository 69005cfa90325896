/** A real name server for the demo: Debian's BIND, installed or only unpacked under .cache; without one, a zone file. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { type Background, CLEAN_ENVIRONMENT, run, start, stop } from "./stage.ts";

type Tools = { readonly named: string; readonly dig: string; readonly env: Readonly<Record<string, string>> };
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

function installed(): Tools | null {
  const find = (name: string): string | undefined =>
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map((folder) => `${folder}/${name}`).find((path) => existsSync(path));
  const named = find("named");
  const dig = find("dig");
  return named === undefined || dig === undefined ? null : { named, dig, env: CLEAN_ENVIRONMENT };
}

function unpacked(root: string): Tools | null {
  const named = `${root}/usr/sbin/named`;
  const dig = `${root}/usr/bin/dig`;
  if (!existsSync(named) || !existsSync(dig)) return null;
  const libraries = readdirSync(`${root}/usr/lib`)
    .filter((name) => name.includes("-linux-"))
    .flatMap((name) => [`${root}/usr/lib/${name}`, `${root}/usr/lib/${name}/bind`]);
  return { named, dig, env: { ...CLEAN_ENVIRONMENT, LD_LIBRARY_PATH: libraries.join(":") } };
}

/** Fetches Debian's packages and unpacks them into a folder of ours: nothing is installed on this machine. Null where that does not work. */
async function fetched(cache: string): Promise<Tools | null> {
  const root = join(cache, "bind");
  if (existsSync(root)) return unpacked(root);
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get") || !existsSync("/usr/bin/dpkg")) return null;
  const making = join(cache, `.bind-${process.pid}`);
  try {
    mkdirSync(join(making, "archives", "partial"), { recursive: true });
    const fetchThem = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "--download-only"];
    const from = [...fetchThem, "-o", `Dir::Cache::archives=${making}/archives`, "bind9", "bind9-dnsutils"];
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" } as Record<string, string>;
    if ((await run(from, { env })).code !== 0) {
      // The lists may be old or missing.
      if ((await run(["apt-get", "-qq", "update"], { env })).code !== 0) return null;
      if ((await run(from, { env })).code !== 0) return null;
    }
    for (const name of readdirSync(join(making, "archives")).filter((file) => file.endsWith(".deb"))) {
      if ((await run(["dpkg", "-x", join(making, "archives", name), join(making, "root")])).code !== 0) return null;
    }
    if (unpacked(join(making, "root")) === null) return null;
    renameSync(join(making, "root"), root);
    return unpacked(root);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/** Null when there is no BIND to be had. The server permits one key, one name's subtree and one type: a refusal of its own. */
export async function startNameServer(
  folder: string,
  cache: string,
  zone: string,
  below: string,
): Promise<NameServer | null> {
  for (const find of [installed, () => fetched(cache)]) {
    const tools = await find();
    const server = tools === null ? null : await tryStart(tools, folder, zone, below);
    if (server !== null) return server;
  }
  return null;
}

async function tryStart(tools: Tools, folder: string, zone: string, below: string): Promise<NameServer | null> {
  const version = await run([tools.named, "-v"], { env: tools.env });
  if (version.code !== 0) return null;
  const port = await freePort();
  const secret = randomBytes(32).toString("base64");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
  writeFileSync(`${folder}/zone`, zoneText(zone));
  writeFileSync(`${folder}/named.conf`, configText(folder, port, secret, zone, below), { mode: 0o600 });
  const named = start([tools.named, "-f", "-c", `${folder}/named.conf`], tools.env);
  const ask = async (name: string, type: string): Promise<string[] | null> => {
    const done = await run([tools.dig, "+short", "+time=1", "+tries=1", "@127.0.0.1", "-p", String(port), name, type], {
      env: tools.env,
    });
    return done.code === 0 ? done.stdout.split("\n").filter((line) => line !== "" && !line.startsWith(";")) : null;
  };
  if (!(await answers(named, () => ask(zone, "SOA")))) {
    await stop(named, "SIGKILL");
    return null;
  }
  const dig = (name: string, type: string): readonly string[] => [
    tools.dig,
    "+noall",
    "+answer",
    "@127.0.0.1",
    "-p",
    String(port),
    name,
    type,
  ];
  return {
    port,
    secret,
    key: KEY,
    version: (version.stdout.trim().split(" (")[0] ?? "BIND").trim(),
    env: tools.env,
    dig,
  };
}

async function answers(named: Background, ask: () => Promise<string[] | null>): Promise<boolean> {
  for (let tries = 0; tries < START_TRIES && named.child.exitCode === null; tries++) {
    const answer = await ask();
    if (answer !== null && answer.length > 0) return true;
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
