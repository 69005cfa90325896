/** Counterparts for the HTTP client: a server of bare sockets that says what a test wants, Go's own net/http, and certificates by openssl. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { programPath, requireDebian } from "../tools.ts";

/** Polls until it holds; a loaded machine may take its time. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 60_000; !holds(); await Bun.sleep(10))
    if (performance.now() > end) throw new Error(`it did not come about: ${what}`);
}

/** `then`: what is done once the first bytes of a connection came. `heard`: what came, a text a connection. */
export async function bare(then: (socket: Socket) => void) {
  const heard: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const at = heard.push("") - 1;
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      const first = heard[at] === "";
      heard[at] += chunk.toString("latin1");
      if (first) then(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    heard,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function openssl(...args: string[]): void {
  const done = spawnSync("openssl", args);
  if (done.status !== 0) throw new Error(`openssl: ${done.stderr}`);
}

/** A certificate for each of `names` in `folder` (NAME.pem, NAME.key), by the CA in `ca.pem`. `names`: as subjectAltName has them. */
export function certificates(folder: string, names: Readonly<Record<string, string>>): void {
  const made = (name: string): string => join(folder, name);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  openssl("req", "-x509", ...key, "-subj", "/CN=ca", "-keyout", made("ca.key"), "-out", made("ca.pem"));
  for (const [name, alternative] of Object.entries(names)) {
    const issuer = ["-CA", made("ca.pem"), "-CAkey", made("ca.key"), "-addext", `subjectAltName=${alternative}`];
    openssl(
      "req",
      "-x509",
      ...key,
      "-subj",
      "/CN=x",
      ...issuer,
      "-keyout",
      made(`${name}.key`),
      "-out",
      made(`${name}.pem`),
    );
  }
}

export type Seen = {
  readonly Method: string;
  readonly Path: string;
  readonly Host: string;
  readonly Proto: string;
  readonly Body: string;
  readonly Name: string;
  readonly Header: Readonly<Record<string, readonly string[]>>;
  readonly Length: number;
  readonly Close: boolean;
  readonly TLS: number;
  readonly Remote: string;
  /** ALPN. */
  readonly Protocol: string;
};
export type GoServer = { readonly port: number; seen(): Seen[]; end(): Promise<void> };

const GO = "/usr/local/go/bin/go";
/** Builds test/providers/go, the standard library alone, into `folder`; returns the program. */
export function buildGoServer(folder: string): string {
  if (!existsSync(GO)) requireDebian({ go: "golang-go" });
  const go = existsSync(GO) ? GO : (programPath("go") ?? "go");
  cpSync(join(import.meta.dir, "go"), join(folder, "go"), { recursive: true });
  const built = spawnSync(go, ["build", "-o", "server", "."], {
    cwd: join(folder, "go"),
    encoding: "utf8",
    timeout: 280_000,
  });
  if (built.status !== 0) throw new Error(`Cannot build the Go program: ${built.stderr}`);
  return join(folder, "go", "server");
}

/** `words`: certificate, key and the newest TLS that is spoken ("": any), for TLS. */
export async function startGoServer(program: string, address: string, ...words: string[]): Promise<GoServer> {
  const child: ChildProcess = spawn(program, [...words, address], { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  await until("the Go server listens", () => out.includes("\n"));
  const lines = (): string[] => out.split("\n").slice(0, -1);
  return {
    port: Number(/:(\d+)$/.exec(lines()[0] ?? "")?.[1]),
    seen: () =>
      lines()
        .slice(1)
        .map((line) => JSON.parse(line) as Seen),
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
    },
  };
}
