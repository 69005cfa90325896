import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAfter } from "../../control/moment.ts";
import { openSqlite } from "../../control/sqlite.ts";
import { readCluster } from "../../control/store.ts";
import { CONTROL, type Ran, running } from "../e2e/world.ts";
import { type Postgres, placeDatabase, startPostgres } from "./postgres.ts";

/** DIR/database and state.db, as operators find them: through the compiled executable. */
const SECRET = "kept-from-everybody";
let postgres: Postgres;
let folder: string;
let dirs = 0;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "reeve-database-"));
  postgres = await startPostgres();
  await postgres.sql("postgres", `create role pia login password '${SECRET}'; create role guest login;`);
  const hba = join(postgres.folder, "data/pg_hba.conf");
  writeFileSync(hba, `local all pia scram-sha-256\n${readFileSync(hba, "utf8")}`);
  await postgres.sql("postgres", "select pg_reload_conf()");
}, 120_000);
afterAll(async () => {
  await postgres?.end();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

function dirWith(text: string, mode = 0o600): string {
  const dir = join(folder, String(++dirs));
  placeDatabase(dir, text);
  chmodSync(join(dir, "database"), mode);
  return dir;
}

/** `reeve-control fleet` on a folder. */
function fleet(dir: string, env: Record<string, string> = {}): Promise<Ran> {
  const words = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return running("/usr/bin/env", ...words, CONTROL, "fleet", "--dir", dir);
}

const socket = (user: string, database: string, more = ""): string =>
  `postgresql:///${database}?host=${postgres.folder}&user=${user}${more}`;
const withPassword = (password: string, database: string): string =>
  `postgresql://pia:${password}@x/${database}`.replace("@x", "@127.0.0.1:1");

async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test("what keeps a database from being used is said with what to do, an exit code of its own, and no password", async () => {
  await postgres.sql("postgres", "create database ascii template template0 encoding 'SQL_ASCII' locale 'C'");
  const mine = (await postgres.database()).trim();
  const database = new URL(mine).pathname.slice(1);
  const port = await closedPort();
  const CASES: readonly (readonly [text: string, mode: number, exit: number, words: string])[] = [
    [withPassword(SECRET, "x"), 0o640, 4, "others may read or change it"],
    ["mysql://root@localhost/x", 0o600, 3, "it holds no connection URL of PostgreSQL"],
    ["", 0o600, 3, "it holds no connection URL of PostgreSQL"],
    [`${withPassword(SECRET, "x")}?sslmode=require`, 0o600, 3, "its sslmode is neither verify-full"],
    [`${withPassword(SECRET, "x")}?options=-cfsync`, 0o600, 3, "it has a parameter other than"],
    ["postgresql:///x?user=pia", 0o600, 3, "it does not name a host"],
    [`postgresql://pia:${SECRET}@127.0.0.1:${port}/x?sslmode=disable`, 0o600, 5, "it cannot be reached"],
    [`postgresql:///x?host=${folder}/nowhere&user=pia`, 0o600, 5, "it cannot be reached"],
    [socket("pia", database), 0o600, 4, "it does not let this user in"],
    [socket("nobody", database), 0o600, 4, "it does not let this user in"],
    [socket("reeve", "no_such"), 0o600, 3, "there is no such database"],
    [socket("guest", database), 0o600, 4, "this user may not do what is needed"],
    [socket("reeve", "ascii"), 0o600, 3, "its texts are SQL_ASCII"],
  ];
  for (const [text, mode, exit, words] of CASES) {
    const { code, stderr } = await fleet(dirWith(`${text}\n`, mode));
    expect([text, code]).toEqual([text, exit]);
    expect(stderr).toContain(words);
    expect(stderr).toMatch(/^error: Cannot [^\n]+\nhint: [^\n]+\n$/);
    expect(stderr).not.toContain(SECRET);
  }
  expect((await fleet(dirWith(mine))).stdout).toBe("no cluster yet\n");
}, 180_000);

test("a server that says it keeps and does not is not used", async () => {
  const text = await postgres.database();
  await postgres.sql("postgres", "alter system set fsync = off");
  await postgres.sql("postgres", "select pg_reload_conf()");
  const refused = await fleet(dirWith(text));
  await postgres.sql("postgres", "alter system reset fsync");
  await postgres.sql("postgres", "select pg_reload_conf()");
  expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining("fsync is off there")]);
}, 60_000);

test("a folder with two states is not used: which one is meant nobody can tell", async () => {
  const dir = dirWith(await postgres.database());
  writeFileSync(join(dir, "state.db"), "");
  const { code, stderr } = await fleet(dir);
  expect([code, stderr]).toEqual([3, expect.stringContaining("state.db, and names a database too")]);
}, 60_000);

test("nothing of the environment says which database it is", async () => {
  const other = (await postgres.database()).trim();
  const dir = dirWith(await postgres.database());
  const at = new URL(other).pathname.slice(1);
  const env = {
    DATABASE_URL: other,
    POSTGRES_URL: other,
    PGDATABASE: at,
    PGUSER: "guest",
    PGHOST: "/nowhere",
    PGPORT: "1",
  };
  expect((await fleet(dir, env)).code).toBe(0);
  expect(await postgres.sql(at, "select count(*) from pg_tables where schemaname = 'public'")).toEqual(["0"]);
}, 60_000);

test("a server on the network shows a certificate for its name by the CA that the file names, or is not spoken to", async () => {
  const tls = join(folder, "tls");
  mkdirSync(tls, { recursive: true });
  const server = await withTls(tls);
  try {
    const database = new URL(await server.postgres.database()).pathname.slice(1);
    const at = (host: string, more: string): string => `postgresql://reeve@${host}:${server.port}/${database}?${more}`;
    const ca = `sslrootcert=${join(tls, "ca.pem")}`;
    expect(await fleet(dirWith(at("127.0.0.1", ca)))).toMatchObject({ code: 0 });
    expect(await fleet(dirWith(at("127.0.0.1", `sslmode=verify-full&${ca}`)))).toMatchObject({ code: 0 });
    for (const text of [at("localhost", ca), at("127.0.0.1", ""), at("127.0.0.1", "sslmode=verify-full")]) {
      const { code, stderr } = await fleet(dirWith(text));
      expect([text, code, stderr]).toEqual([text, 5, expect.stringContaining("it cannot be reached")]);
    }
  } finally {
    await server.postgres.end();
  }
}, 180_000);

test("a state.db of before the numbers is brought up to them, with all that was in it; what was replaced then was replaced before any connection", async () => {
  const dir = join(folder, "old");
  mkdirSync(dir);
  const old = new Database(join(dir, "state.db"), { create: true });
  old.run(readFileSync(join(import.meta.dir, "before-migrations.sql"), "utf8"));
  old.close();
  const store = await openSqlite(join(dir, "state.db"));
  const [kept, cluster] = await store.read(async (sql) => [
    await sql.rows<{ at: string }>(
      "select at from retired_certificates union all select at from replaced_processes union all select at from seen_heads",
    ),
    await readCluster(sql, "prod-eu-1"),
  ]);
  store.close();
  expect(kept.map(({ at }) => isAfter(0, at))).toEqual([true, true, true, true]);
  expect(cluster).toMatchObject({ epoch: 1, trust_version: 1 });
  const { code, stdout } = await fleet(dir);
  expect([code, stdout]).toEqual([0, expect.stringContaining("prod-eu-1")]);
}, 60_000);

test("a state that a newer program has changed is not used by this one", async () => {
  const text = await postgres.database();
  const onPostgres = dirWith(text);
  const onSqlite = join(folder, "newer");
  mkdirSync(onSqlite);
  (await openSqlite(join(onSqlite, "state.db"))).close();
  expect((await fleet(onPostgres)).code).toBe(0);
  const insert =
    "insert into reeve_migrations (name, timestamp) values ('9999-of-tomorrow', '2030-01-01T00:00:00.000Z')";
  await postgres.sql(new URL(text).pathname.slice(1), insert);
  const state = new Database(join(onSqlite, "state.db"));
  state.run(insert);
  state.close();
  for (const dir of [onPostgres, onSqlite]) {
    const { code, stderr } = await fleet(dir);
    expect([code, stderr]).toEqual([
      3,
      expect.stringContaining("a newer reeve-control has changed it (9999-of-tomorrow)"),
    ]);
  }
}, 60_000);

/** A PostgreSQL on a port of loopback, with a certificate for 127.0.0.1 by a CA of its own. */
async function withTls(tls: string): Promise<{ readonly postgres: Postgres; readonly port: number }> {
  const openssl = (...args: string[]): void => {
    const done = Bun.spawnSync(["openssl", ...args], { cwd: tls });
    if (done.exitCode !== 0) throw new Error(done.stderr.toString());
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=database CA");
  const leaf = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"];
  const by = ["-CA", "ca.pem", "-CAkey", "ca.key"];
  openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    "server.key",
    "-out",
    "server.pem",
    "-subj",
    "/CN=database",
    ...leaf,
    ...by,
  );
  // PostgreSQL takes no port from the kernel: another one is tried when somebody else was quicker.
  for (let tries = 0; ; tries++) {
    const port = await closedPort();
    try {
      const certificate = { cert: join(tls, "server.pem"), key: join(tls, "server.key") };
      return {
        postgres: await startPostgres({ listen_addresses: "127.0.0.1", port: String(port) }, certificate),
        port,
      };
    } catch (error) {
      if (tries >= 5) throw error;
    }
  }
}
