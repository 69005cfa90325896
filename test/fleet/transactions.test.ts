import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAfter, moment, watchMoments } from "../../control/moment.ts";
import { openStore } from "../../control/openStore.ts";
import { ensureCluster, type News, readMeta, type Sql, type Store, writeMeta } from "../../control/store.ts";
import { type Postgres, placeDatabase, startPostgres } from "./postgres.ts";
import { until } from "./processes.ts";

const OPEN_STORE = join(import.meta.dir, "../../control/openStore.ts");

/** What control/store.ts promises, of both engines: `one` and `other` are two processes' on one state. */
let postgres: Postgres;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "reeve-stores-"));
  postgres = await startPostgres();
}, 120_000);
afterAll(async () => {
  await postgres?.end();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** A process that opens a state and ends. */
function opener(dir: string): Promise<number> {
  const script = `const { openStore } = await import(${JSON.stringify(OPEN_STORE)}); (await openStore(${JSON.stringify(dir)})).close();`;
  return Bun.spawn([process.execPath, "-e", script], { stdout: "ignore", stderr: "inherit" }).exited;
}

const count = async (sql: Sql): Promise<number> => Number((await readMeta(sql, "count")) ?? "0");
const increase = async (sql: Sql): Promise<void> => {
  const before = await count(sql);
  // Whoever could come between the two would be lost.
  await Bun.sleep(1);
  await writeMeta(sql, "count", String(before + 1));
};

describe.each(["sqlite", "postgres"] as const)("%s", (engine) => {
  let one: Store;
  let other: Store;
  let dir: string;
  beforeAll(async () => {
    dir = join(folder, engine);
    placeDatabase(dir, await postgres.database());
    if (engine === "sqlite") rmSync(join(dir, "database"));
    const exits = await Promise.all([opener(dir), opener(dir), opener(dir)]);
    expect(exits).toEqual([0, 0, 0]);
    one = await openStore(dir);
    // Two connections of one process to one SQLite file would wait for each other in the same thread.
    other = engine === "sqlite" ? one : await openStore(dir);
  }, 120_000);
  afterAll(() => {
    one?.close();
    if (other !== one) other?.close();
  });

  test("who opens a new state at the same time finds it made once, and whole", async () => {
    const names = await one.read((sql) =>
      sql.rows<{ name: string }>("select name from reeve_migrations order by name"),
    );
    expect(names.map(({ name }) => name.slice(0, 4))).toEqual(names.map((_, at) => String(at + 1).padStart(4, "0")));
    expect(names.length).toBeGreaterThanOrEqual(3);
  });

  test("a transaction without a name is alone, whichever process began it", async () => {
    const work = Array.from({ length: 40 }, (_, at) => (at % 2 === 0 ? one : other).transaction(increase));
    await Promise.all(work);
    expect(await one.read(count)).toBe(40);
    await Promise.all(work.map((_, at) => (at % 2 === 0 ? one : other).transaction(increase, "prod-eu-1")));
    expect(await other.read(count)).toBe(80);
  });

  test("what throws is undone, tells nobody, and the next one begins", async () => {
    const heard: News[] = [];
    const end = await one.listen((news) => void heard.push(news));
    const failed = one.transaction(async (sql) => {
      sql.tell({ cluster: "undone" });
      await ensureCluster(sql, "undone");
      throw new RangeError("no");
    }, "undone");
    await expect(failed).rejects.toThrow(RangeError);
    await one.transaction(async (sql) => sql.tell({ cluster: "done" }), "done");
    expect(await one.read((sql) => sql.rows("select cluster from clusters where cluster = 'undone'"))).toEqual([]);
    await until("the news is heard", () => heard.some((news) => news !== "all" && "cluster" in news));
    expect(heard.filter((news) => news !== "all")).toEqual([{ cluster: "done" }]);
    end();
  });

  test("what one process tells the others hear, and a statement that fails undoes all of its transaction", async () => {
    const heard: News[] = [];
    const end = await other.listen((news) => void heard.push(news));
    heard.length = 0;
    await one.transaction(async (sql) => {
      await writeMeta(sql, "told", "1");
      sql.tell({ cluster: "prod-eu-1" });
    }, "prod-eu-1");
    await until("the other hears it", () =>
      heard.some((news) => news === "all" || ("cluster" in news && news.cluster === "prod-eu-1")),
    );
    const twice = one.transaction(async (sql) => {
      await writeMeta(sql, "half", "1");
      await sql.run("insert into meta (name, value) values ('told', '2')");
    });
    await expect(twice).rejects.toThrow();
    expect(await other.read((sql) => readMeta(sql, "half"))).toBeNull();
    end();
  });

  test("numbers come back as they were, and a row that is there already counts as none", async () => {
    const large = Number.MAX_SAFE_INTEGER;
    const insert = "insert into used_nonces (nonce, until) values ($1, $2) on conflict (nonce) do nothing";
    await one.transaction(async (sql) => {
      expect([await sql.run(insert, "a", large), await sql.run(insert, "a", 1)]).toEqual([1, 0]);
      const rows = await sql.rows<object>(
        "select nonce, until, (select count(*) from used_nonces) as n from used_nonces",
      );
      expect(rows).toEqual([{ nonce: "a", until: large, n: 1 }]);
      expect(await sql.run("delete from used_nonces where nonce = $1", "a")).toBe(1);
    });
  });

  test("a connection is after a moment only when that was on record before it came, at each who serves", async () => {
    const [here, there] = [await watchMoments(one), await watchMoments(other)];
    const early = [here.newest(), there.newest()];
    const at = await one.transaction((sql) => moment(sql), "prod-eu-1");
    expect(early.map((stamp) => isAfter(stamp, at))).toEqual([false, false]);
    expect(isAfter(here.newest(), at)).toBe(true);
    expect(isAfter(null, at)).toBe(false);
    await until("the other knows", () => isAfter(there.newest(), at));
    // One that was undone never was.
    await expect(
      one.transaction(async (sql) => {
        await moment(sql);
        throw new RangeError("no");
      }),
    ).rejects.toThrow(RangeError);
    expect(here.newest()).toBe(Number(at));
    const late = await watchMoments(other);
    expect(isAfter(late.newest(), at)).toBe(true);
    for (const each of [here, there, late]) each.end();
  });

  test("moments stand in the order in which they came on record, whoever made them", async () => {
    const seen = await watchMoments(other);
    const made: Promise<string>[] = [];
    for (let at = 0; at < 20; at++)
      made.push(
        (at % 2 === 0 ? one : other).transaction(async (sql) => {
          const mine = await moment(sql);
          await Bun.sleep(at % 3);
          await writeMeta(sql, `moment ${mine}`, "made");
          return mine;
        }, `cluster-${at}`),
      );
    const look = async (): Promise<void> => {
      const newest = seen.newest();
      const rows = await one.read((sql) =>
        sql.rows<{ name: string }>("select name from meta where name like 'moment %'"),
      );
      const known = new Set(rows.map(({ name }) => Number(name.slice(7))));
      const first = Math.min(...known);
      for (let each = first; each <= newest; each++) expect(known).toContain(each);
    };
    const looking = Promise.all(Array.from({ length: 10 }, () => look()));
    const all = (await Promise.all(made)).map(Number);
    await looking;
    await look();
    expect(new Set(all).size).toBe(20);
    seen.end();
  });

  test("work that one of many takes is taken once", async () => {
    await one.transaction(async (sql) => {
      for (const id of ["a", "b", "c", "d"]) await writeMeta(sql, `work ${id}`, "open");
    });
    const take = (store: Store, name: string) =>
      store.transaction(async (sql) => {
        const text = `select name from meta where name like 'work %' and value = 'open' order by name limit 1${sql.skipLocked}`;
        const [row] = await sql.rows<{ name: string }>(text);
        if (row === undefined) return null;
        await Bun.sleep(5);
        await sql.run("update meta set value = 'taken' where name = $1", row.name);
        return row.name;
      }, name);
    const taken = await Promise.all([take(one, "1"), take(other, "2"), take(one, "3"), take(other, "4")]);
    const left = [await take(one, "5"), await take(one, "6"), await take(one, "7"), await take(one, "8")];
    const all = [...taken, ...left].filter((name) => name !== null).sort();
    expect(all).toEqual(["work a", "work b", "work c", "work d"]);
  });
});
