import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { freePort, takes } from "../ports.ts";
import { programPath, requireDebian } from "../tools.ts";

export const ZONE = "example.com";
/** The only name and types that BIND lets the key change. */
export const GRANTED = "www.example.com";
export const TSIG_NAME = "reeve-key";

export type NameServer = {
  readonly server: string;
  readonly port: number;
  readonly secretFile: string;
  readonly otherSecretFile: string;
  /** Values as `dig` prints them, sorted. */
  dig(name: string, type: string): string[];
  /** A change by someone else, with a key of their own. */
  byOther(...lines: string[]): void;
  stop(): Promise<void>;
};

/** Debian's BIND, unprivileged port, in `folder`. `challenges`: names below which it lets the key change the TXT record of an ACME challenge. */
export async function startBind(folder: string, challenges: readonly string[] = []): Promise<NameServer> {
  requireDebian({ named: "bind9", dig: "bind9-dnsutils", nsupdate: "bind9-dnsutils" });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const port = await freePort();
  const granted = challenges.map((name) => ` grant ${TSIG_NAME} name _acme-challenge.${name}. TXT;`).join("");
  const [secret, other] = [randomBytes(32).toString("base64"), randomBytes(32).toString("base64")];
  writeFileSync(`${folder}/secret`, `${secret}\n`, { mode: 0o600 });
  writeFileSync(`${folder}/other-secret`, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
  writeFileSync(
    `${folder}/zone`,
    `$TTL 60\n@ IN SOA ns.${ZONE}. host.${ZONE}. 1 3600 600 86400 60\n@ IN NS ns.${ZONE}.\nns IN A 127.0.0.1\nother IN A 10.9.9.9\nwww IN MX 10 ns.${ZONE}.\n`,
  );
  writeFileSync(
    `${folder}/named.conf`,
    `options { directory "${folder}"; pid-file none; session-keyfile none; recursion no; dnssec-validation no;
  listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; }; };
controls { };
logging { channel file { file "${folder}/log"; severity info; }; category default { file; }; };
key "${TSIG_NAME}" { algorithm hmac-sha256; secret "${secret}"; };
key "other" { algorithm hmac-sha512; secret "${other}"; };
zone "${ZONE}" { type primary; file "${folder}/zone"; journal "${folder}/zone.jnl";
  update-policy { grant ${TSIG_NAME} name ${GRANTED}. A AAAA TXT; grant ${TSIG_NAME} name alias.${ZONE}. CNAME;${granted} grant other zonesub ANY; }; };
`,
    { mode: 0o600 },
  );
  const named: ChildProcess = spawn(programPath("named") ?? "named", ["-f", "-c", `${folder}/named.conf`], {
    stdio: "ignore",
    env: {},
  });
  const dig = (name: string, type: string): string[] => {
    const done = spawnSync(
      "/usr/bin/dig",
      ["+tcp", "+noall", "+answer", "@127.0.0.1", "-p", String(port), name, type],
      { encoding: "utf8" },
    );
    if (done.status !== 0) throw new Error(done.stdout);
    return done.stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.split(/\s+/).slice(1).join(" "))
      .sort();
  };
  // It takes connections before it has loaded its zone, and then answers SERVFAIL.
  for (let tries = 0; !(await takes(port)) || dig(ZONE, "SOA").length === 0; tries++) {
    if (tries > 200 || named.exitCode !== null) throw new Error("BIND does not start");
    await Bun.sleep(50);
  }
  return {
    server: `127.0.0.1:${port}`,
    port,
    secretFile: `${folder}/secret`,
    otherSecretFile: `${folder}/other-secret`,
    dig,
    byOther(...lines) {
      const input = [
        `server 127.0.0.1 ${port}`,
        `key hmac-sha512:other ${other}`,
        `zone ${ZONE}`,
        ...lines,
        "send",
        "",
      ].join("\n");
      const done = spawnSync("/usr/bin/nsupdate", ["-v"], { input, encoding: "utf8" });
      if (done.status !== 0) throw new Error(done.stderr);
    },
    async stop() {
      if (named.exitCode !== null) return;
      const ended = new Promise((resolve) => named.once("exit", resolve));
      named.kill("SIGKILL");
      await ended;
    },
  };
}

/** Passes TCP on to `port`, each answer changed by `change`; null closes the connection instead. */
export async function proxy(
  port: number,
  change: (answer: Buffer, nth: number) => Buffer | null,
): Promise<{ server: string; stop(): void }> {
  let count = 0;
  const listener = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    client.on("data", (bytes) => upstream.write(bytes));
    upstream.on("data", (bytes: Buffer) => {
      const changed = change(Buffer.from(bytes), count++);
      if (changed === null) client.destroy();
      else client.write(changed);
    });
    for (const [one, two] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on("error", () => two.destroy());
      one.on("close", () => two.destroy());
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { server: `127.0.0.1:${address.port}`, stop: () => listener.close() };
}
