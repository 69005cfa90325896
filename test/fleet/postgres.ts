import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Subprocess, spawn } from "bun";

/** A real PostgreSQL of Debian's package, in a folder of its own, on a unix socket alone: it has no port that another could hold. */
export type Postgres = {
  readonly folder: string;
  /** A new database, and the text of DIR/database for it. */
  database(how?: string): Promise<string>;
  /** Runs SQL as its owner, in one database; the output's lines. */
  sql(database: string, text: string): Promise<string[]>;
  /** Ends as after `systemctl stop`, or as after a power cut. */
  stop(how?: "fast" | "power-cut"): Promise<void>;
  start(): Promise<void>;
  end(): Promise<void>;
};

const NOBODY = 65534;
const BIN = "/usr/lib/postgresql";
const USER = "reeve";

function program(name: string): string {
  const versions = existsSync(BIN) ? readdirSync(BIN).sort((a, b) => Number(b) - Number(a)) : [];
  const path = versions.map((version) => join(BIN, version, "bin", name)).find((one) => existsSync(one));
  if (path === undefined) throw new Error(`there is no ${name}: apt-get install postgresql`);
  return path;
}

/** As another user: PostgreSQL refuses root. */
function asNobody(command: readonly string[]): string[] {
  if (process.getuid?.() !== 0) return [...command];
  return ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", ...command];
}

/** `tls`: a certificate and its key, which it shows on its port. */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
  tls: { readonly cert: string; readonly key: string } | null = null,
): Promise<Postgres> {
  // In memory where there is room: what is synced there is, and a power cut of the server loses nothing that was.
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "reeve-pg-"));
  chmodSync(folder, 0o711);
  const own = join(folder, "own");
  mkdirSync(own, { mode: 0o700 });
  if (process.getuid?.() === 0) chownSync(own, NOBODY, NOBODY);
  chmodSync(own, 0o755);
  const data = join(own, "data");
  const initdb = ["-D", data, "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C", "--wal-segsize=1"];
  const made = spawn(asNobody([program("initdb"), ...initdb]), {
    cwd: "/",
    env: { PATH: process.env["PATH"] },
    stdout: "ignore",
    stderr: "pipe",
  });
  const said = await new Response(made.stderr).text();
  if ((await made.exited) !== 0) throw new Error(`initdb: ${said}`);
  const conf = {
    listen_addresses: "",
    unix_socket_directories: own,
    max_connections: "200",
    ...settings,
    ...shown(own, tls !== null),
  };
  for (const [name, from] of Object.entries(tls ?? {})) {
    copyFileSync(from, join(own, `server.${name}`));
    if (process.getuid?.() === 0) chownSync(join(own, `server.${name}`), NOBODY, NOBODY);
    chmodSync(join(own, `server.${name}`), 0o600);
  }
  const port = settings["port"] ?? "5432";
  let server: Subprocess | null = null;
  let databases = 0;

  async function start(): Promise<void> {
    const flags = Object.entries(conf).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const log = Bun.file(join(folder, "log"));
    server = spawn(asNobody([program("postgres"), "-D", data, ...flags]), {
      cwd: "/",
      env: { PATH: process.env["PATH"] },
      stdout: log,
      stderr: log,
    });
    const end = Date.now() + 60_000;
    for (;;) {
      const asked = spawn(["psql", "-h", own, "-p", port, "-U", USER, "-d", "postgres", "-c", "select 1"], {
        stdout: "ignore",
        stderr: "ignore",
      });
      if ((await asked.exited) === 0) return;
      if (Date.now() > end || server.exitCode !== null)
        throw new Error(`PostgreSQL does not start: ${readFileSync(join(folder, "log"), "utf8").slice(-2000)}`);
      await Bun.sleep(50);
    }
  }

  async function stop(how: "fast" | "power-cut" = "fast"): Promise<void> {
    const pid = server?.pid;
    if (server === null || pid === undefined) return;
    if (how === "power-cut") {
      // All of it at once: the postmaster is the leader of no group of its own, so its children are named one by one.
      const asked = spawn(["pgrep", "-P", String(pid)], { stdout: "pipe" });
      const children = (await new Response(asked.stdout).text()).trim().split("\n");
      for (const one of [String(pid), ...children]) if (one !== "") process.kill(Number(one), "SIGKILL");
    } else server.kill("SIGINT");
    await server.exited;
    server = null;
  }

  async function sql(database: string, text: string): Promise<string[]> {
    const asked = spawn(
      ["psql", "-h", own, "-p", port, "-U", USER, "-d", database, "-v", "ON_ERROR_STOP=1", "-At", "-c", text],
      {
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const [out, err] = await Promise.all([new Response(asked.stdout).text(), new Response(asked.stderr).text()]);
    if ((await asked.exited) !== 0) throw new Error(err);
    return out.trimEnd().split("\n");
  }

  await start();
  return {
    folder: own,
    async database(how = "template template0 encoding 'UTF8' locale 'C'") {
      const name = `reeve_${++databases}`;
      await sql("postgres", `create database ${name} ${how}`);
      return `postgresql:///${name}?host=${own}&user=${USER}\n`;
    },
    sql,
    stop,
    start,
    async end() {
      await stop("fast");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function shown(folder: string, tls: boolean): Record<string, string> {
  if (!tls) return {};
  return { ssl: "on", ssl_cert_file: join(folder, "server.cert"), ssl_key_file: join(folder, "server.key") };
}

/** Names the database in a control plane's folder, as an operator would. */
export function placeDatabase(dir: string, text: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  writeFileSync(join(dir, "database"), text, { mode: 0o600 });
}
