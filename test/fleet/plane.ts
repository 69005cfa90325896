import { type ChildProcess, spawn } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { CONTROL } from "../e2e/world.ts";
import { type Balancer, balancer } from "./balancer.ts";
import { placeDatabase, startPostgres } from "./postgres.ts";
import { CLEAN, firstLine, killed, none } from "./processes.ts";

/** A control plane that stays at one address while its processes are killed: three replicas on a PostgreSQL, or one on SQLite. */
export type Engine = "postgres" | "sqlite";
export type Replica = { readonly dir: string; readonly host: string; child: ChildProcess };
export type Plane = {
  readonly replicas: readonly Replica[];
  /** The first one's folder, for the operator's commands. */
  readonly dir: string;
  /** HOST:PORT at which agents enrol. */
  readonly enrol: string;
  readonly root: string;
  start(replica: Replica): Promise<void>;
  /** kill -9. */
  kill(replica: Replica): Promise<void>;
};

const COUNT = { postgres: 3, sqlite: 1 };

/** `ending`: what ends each thing that was begun, added as it begins. */
export async function planeOf(engine: Engine, folder: string, ending: (() => Promise<void> | void)[]): Promise<Plane> {
  const replicas = Array.from(
    { length: COUNT[engine] },
    (_, n): Replica => ({ dir: join(folder, `replica-${n + 1}`), host: `127.0.0.${n + 2}`, child: none() }),
  );
  const [first] = replicas;
  if (first === undefined) throw new Error("no replica");
  const living = (port: () => number) => () => replicas.map(({ host }) => ({ host, port: port() }));
  const enrol: Balancer = await balancer(living(() => enrol.port));
  ending.push(enrol.end);
  const agents: Balancer = await balancer(living(() => agents.port));
  ending.push(agents.end);
  const place = engine === "postgres" ? await onPostgres(ending) : () => undefined;
  ending.push(async () => {
    for (const { child } of replicas) await killed(child);
  });

  async function start(replica: Replica): Promise<string> {
    const at = ["--enrol", `127.0.0.1:${enrol.port}`, "--agents", `127.0.0.1:${agents.port}`, "--bind", replica.host];
    replica.child = spawn(CONTROL, ["serve", "--dir", replica.dir, ...at], {
      env: CLEAN,
      stdio: ["ignore", "pipe", "pipe"],
    });
    return firstLine(replica.child);
  }

  const said: string[] = [];
  for (const replica of replicas) {
    place(replica.dir);
    // The operator copies the keys of the first one.
    if (replica !== first) cpSync(join(first.dir, "ca"), join(replica.dir, "ca"), { recursive: true });
    said.push(await start(replica));
  }
  const { root_sha256: root } = JSON.parse(said[0] ?? "") as { root_sha256: string };
  return {
    replicas,
    dir: first.dir,
    enrol: `127.0.0.1:${enrol.port}`,
    root,
    async start(replica) {
      await start(replica);
    },
    kill: (replica) => killed(replica.child),
  };
}

async function onPostgres(ending: (() => Promise<void> | void)[]): Promise<(dir: string) => void> {
  const postgres = await startPostgres();
  ending.push(() => postgres.end());
  const database = await postgres.database();
  return (dir) => placeDatabase(dir, database);
}
