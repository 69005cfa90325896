import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { freePort, takes } from "../ports.ts";
import { programPath, requireDebian } from "../tools.ts";
import { serverTls } from "./tls.ts";

/** Debian's Pebble: Let's Encrypt's own ACME server for tests of clients. */
export type Pebble = {
  readonly port: number;
  readonly directory: string;
  /** PEM of the root of its TLS. */
  readonly root: string;
  /** How many certificates it has issued, by its own word. */
  issued(): number;
  /** What it said, a line each. */
  said(): readonly string[];
  stop(): Promise<void>;
};

export type PebbleWish = {
  /** HOST:PORT of the name server that challenges are looked up at. */
  readonly dns: string;
  /** Percent of good nonces that it refuses all the same. */
  readonly nonceReject?: number;
  readonly external?: { readonly id: string; readonly key: string };
  /** Its validations take up to this many seconds; 0 where nothing is said. */
  readonly sleepSeconds?: number;
};

/** In `folder`. Another start where somebody else took the port first. */
export async function startPebble(folder: string, wish: PebbleWish): Promise<Pebble> {
  requireDebian({ pebble: "pebble" });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const tls = await serverTls();
  writeFileSync(`${folder}/cert.pem`, tls.cert);
  writeFileSync(`${folder}/key.pem`, tls.key, { mode: 0o600 });
  for (let tries = 0; tries < 5; tries++) {
    const started = await startOnce(folder, wish, tls.root);
    if (started !== null) return started;
  }
  throw new Error("Pebble does not start");
}

async function startOnce(folder: string, wish: PebbleWish, root: string): Promise<Pebble | null> {
  const port = await freePort();
  const pebble = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: "",
    certificate: `${folder}/cert.pem`,
    privateKey: `${folder}/key.pem`,
    httpPort: 5002,
    tlsPort: 5001,
    ocspResponderURL: "",
    externalAccountBindingRequired: wish.external !== undefined,
    externalAccountMACKeys: wish.external === undefined ? {} : { [wish.external.id]: wish.external.key },
  };
  writeFileSync(`${folder}/config.json`, JSON.stringify({ pebble }));
  const child: ChildProcess = spawn(
    programPath("pebble") ?? "pebble",
    ["-config", `${folder}/config.json`, "-dnsserver", wish.dns, "-strict"],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...(wish.sleepSeconds === undefined
          ? { PEBBLE_VA_NOSLEEP: "1" }
          : { PEBBLE_VA_SLEEPTIME: String(wish.sleepSeconds) }),
        PEBBLE_WFE_NONCEREJECT: String(wish.nonceReject ?? 0),
        PEBBLE_AUTHZREUSE: "0",
      },
    },
  );
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
  for (let tries = 0; !(await takes(port)); tries++) {
    if (child.exitCode !== null || tries > 600) return null;
    await Bun.sleep(50);
  }
  if (child.exitCode !== null) return null;
  const said = () => text.split("\n");
  return {
    port,
    directory: `https://localhost:${port}/dir`,
    root,
    said,
    issued: () => said().filter((line) => line.includes("Issued certificate serial")).length,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    },
  };
}
