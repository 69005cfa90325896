import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Real proxies from Debian on loopback, and a machine on which no name can be looked up. */
export const HOST = "control.vendor.invalid";

export type RealProxy = {
  readonly port: number;
  readonly folder: string;
  /** What it has written about its connections. */
  log(): string;
  start(): Promise<void>;
  stop(): Promise<void>;
  end(): Promise<void>;
};

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Words before a command: it runs where no name server answers, and /etc/hosts names nobody. */
export const NAMELESS = ["unshare", "-m", "sh", "-c", NAMES("nameserver 127.0.0.1", ""), "sh"];
/** Here these names are known as this machine's own, and no others. */
const knows = (names: readonly string[]): string[] => [
  ...["unshare", "-m", "sh", "-c", NAMES("nameserver 127.0.0.1", `127.0.0.1 ${names.join(" ")}`), "sh"],
];

function NAMES(resolver: string, hosts: string): string {
  return `mount -t tmpfs tmpfs /mnt && echo '${resolver}' >/mnt/r && echo '${hosts}' >/mnt/h && mount --bind /mnt/r /etc/resolv.conf && mount --bind /mnt/h /etc/hosts && exec "$@"`;
}

/** tinyproxy. `more`: lines for its configuration, such as `BasicAuth user password`. It alone knows the names, else the control plane's. */
export function tinyproxy(more = "", names: readonly string[] = [HOST]): Promise<RealProxy> {
  return proxy("tinyproxy", (folder, port) => {
    writeFileSync(
      join(folder, "conf"),
      `Port ${port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 600\nMaxClients 50\nLogLevel Info\nLogFile "${folder}/log"\nUser nobody\nGroup nogroup\n${more}\n`,
    );
    return [...knows(names), "tinyproxy", "-d", "-c", join(folder, "conf")];
  });
}

/** squid. With `inspect` it looks into TLS, by a CA of its own in `ca.crt`. */
export function squid(options: { inspect: boolean }): Promise<RealProxy> {
  return proxy("squid", (folder, port) => {
    if (options.inspect) makeInspector(folder);
    const bump = `ssl-bump tls-cert=${folder}/ca.pem generate-host-certificates=on dynamic_cert_mem_cache_size=4MB
sslcrtd_program /usr/lib/squid/security_file_certgen -s ${folder}/db -M 4MB
sslcrtd_children 1 startup=1
ssl_bump bump all
tls_outgoing_options flags=DONT_VERIFY_PEER
sslproxy_cert_error allow all`;
    writeFileSync(
      join(folder, "conf"),
      `http_port 127.0.0.1:${port} ${options.inspect ? bump : ""}
http_access allow localhost
http_access deny all
hosts_file /etc/hosts
pid_filename none
access_log stdio:${folder}/log
logfile_rotate 0
cache_log ${folder}/cache.log
cache deny all
pinger_enable off
coredump_dir ${folder}
shutdown_lifetime 0 seconds
max_filedescriptors 1024
cache_effective_user proxy
`,
    );
    return [...knows([HOST]), "squid", "-N", "-f", join(folder, "conf")];
  });
}

function makeInspector(folder: string): void {
  const made = spawnSync("openssl", [
    ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-subj", "/O=Example Corp/CN=Inspection"],
    ...["-keyout", join(folder, "ca.key"), "-out", join(folder, "ca.crt")],
  ]);
  if (made.status !== 0) throw new Error(`openssl: ${made.stderr}`);
  writeFileSync(
    join(folder, "ca.pem"),
    readFileSync(join(folder, "ca.key"), "utf8") + readFileSync(join(folder, "ca.crt"), "utf8"),
  );
  const db = spawnSync("/usr/lib/squid/security_file_certgen", ["-c", "-s", join(folder, "db"), "-M", "4MB"]);
  if (db.status !== 0) throw new Error(`security_file_certgen: ${db.stderr}`);
  spawnSync("chown", ["-R", "proxy:proxy", folder]);
}

async function proxy(name: string, prepare: (folder: string, port: number) => string[]): Promise<RealProxy> {
  const folder = mkdtempSync(join(tmpdir(), `reeve-${name}-`));
  mkdirSync(join(folder, "run"));
  const owner = spawnSync("id", ["-u", name === "squid" ? "proxy" : "nobody"], { encoding: "utf8" }).stdout.trim();
  chownSync(folder, Number(owner), 0);
  const port = await freePort();
  const [program = "", ...args] = prepare(folder, port);
  let child: ChildProcess | null = null;
  let said = "";
  const self: RealProxy = {
    port,
    folder,
    log: () => (existsSync(join(folder, "log")) ? readFileSync(join(folder, "log"), "utf8") : ""),
    async start() {
      child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
      child.stderr?.on("data", (chunk: Buffer) => {
        said += chunk.toString();
      });
      child.stdout?.resume();
      for (let n = 0; n < 100; n++) {
        if (await takes(port)) return;
        await Bun.sleep(100);
      }
      throw new Error(`${name} did not start: ${said}${self.log()}`);
    },
    async stop() {
      const running = child;
      child = null;
      if (running === null || running.exitCode !== null) return;
      const gone = new Promise((resolve) => running.once("exit", resolve));
      running.kill("SIGKILL");
      await gone;
    },
    async end() {
      await self.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await self.start();
  return self;
}

function takes(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
