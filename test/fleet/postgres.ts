import {
  chmodSync,
  chownSync,
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
import { type Subprocess, spawn, spawnSync } from "bun";

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

export async function startPostgres(settings: Readonly<Record<string, string>> = {}): Promise<Postgres> {
  // In memory where there is room: what is synced there is, and a power cut of the server loses nothing that was.
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "reeve-pg-"));
  chmodSync(folder, 0o711);
  const own = join(folder, "own");
  mkdirSync(own, { mode: 0o700 });
  if (process.getuid?.() === 0) chownSync(own, NOBODY, NOBODY);
  chmodSync(own, 0o755);
  const data = join(own, "data");
  const made = spawnSync(
    asNobody([
      program("initdb"),
      "-D",
      data,
      "-U",
      USER,
      "-A",
      "trust",
      "--no-sync",
      "-E",
      "UTF8",
      "--locale=C",
      "--wal-segsize=1",
    ]),
    { cwd: "/", env: { PATH: process.env["PATH"] } },
  );
  if (made.exitCode !== 0) throw new Error(`initdb: ${made.stderr.toString()}`);
  const conf = { listen_addresses: "", unix_socket_directories: own, max_connections: "200", ...settings };
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
      const asked = spawn(["psql", "-h", own, "-U", USER, "-d", "postgres", "-c", "select 1"], {
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
      const children = spawnSync(["pgrep", "-P", String(pid)])
        .stdout.toString()
        .trim()
        .split("\n");
      for (const one of [String(pid), ...children]) if (one !== "") spawnSync(["kill", "-9", one]);
    } else server.kill("SIGINT");
    await server.exited;
    server = null;
  }

  async function sql(database: string, text: string): Promise<string[]> {
    const asked = spawn(["psql", "-h", own, "-U", USER, "-d", database, "-v", "ON_ERROR_STOP=1", "-At", "-c", text], {
      stdout: "pipe",
      stderr: "pipe",
    });
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

/** Names the database in a control plane's folder, as an operator would. */
export function placeDatabase(dir: string, text: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  writeFileSync(join(dir, "database"), text, { mode: 0o600 });
}
