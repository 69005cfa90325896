import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { letAct } from "../../control/epoch.ts";
import { handOut, noteSaid } from "../../control/poll.ts";
import { settle } from "../../control/report.ts";
import type { Summary } from "../../control/rollout/read.ts";
import { openSigner, type Signer } from "../../control/signer.ts";
import { openSqlite } from "../../control/sqlite.ts";
import { readCluster, type Store } from "../../control/store.ts";
import { AS, filed, manifestOf } from "../simulation/rollouts/world.ts";

/** Rollouts through the compiled executable. Clusters are modelled: what they poll and report goes through the control plane's own handlers. */
const CONTROL = join(ROOT, "dist/reeve-control");
const ENV = { PATH: "/usr/bin:/bin" };
const PATIENCE_MS = 120_000;
const CLUSTERS = ["a", "b", "c", "d"];
let folder: string;
let store: Store;
let signer: Signer;
let agents: ReturnType<typeof setInterval>;
const children = new Set<ChildProcess>();
/** What a cluster makes of a command. */
const results = new Map<string, "succeeded" | "failed">();
const at = (name: string): string => join(folder, name);

type Ran = { readonly code: number | null; readonly out: string; readonly err: string };
type Started = { readonly child: ChildProcess; readonly done: Promise<Ran>; said(): string };
function started(program: string, args: readonly string[]): Started {
  const child = spawn(program, args, { env: ENV, stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  let [out, err] = ["", ""];
  child.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const done = new Promise<Ran>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, out, err }));
  });
  return { child, done, said: () => out };
}
const start = (...args: string[]): Started => started(CONTROL, args);
const control = (...args: string[]): Promise<Ran> => start(...args).done;
const rollout = (verb: string, ...args: string[]): Promise<Ran> => control("rollout", verb, "--dir", at("d"), ...args);
const begin = (manifest: string, ...args: string[]): Promise<Ran> =>
  rollout("start", at(manifest), "--keys", at("keys"), "--as", AS, ...args);
async function summary(id: number): Promise<Summary> {
  return JSON.parse((await rollout("status", String(id), "--json")).out) as Summary;
}
async function until<T>(look: () => Promise<T | null | false>): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found !== null && found !== false) return found;
    if (Date.now() > end) throw new Error("it never came to that");
    await Bun.sleep(100);
  }
}

/** Every cluster polls once, takes what there is, and reports it done. */
async function pollAll(): Promise<void> {
  for (const name of CLUSTERS)
    await store.transaction(async (sql) => {
      const poll = {
        process: name,
        epoch: 1,
        checkpoint: "",
        state: "ready",
        reason: "",
        version: "1",
        trust_version: 1,
        take: 16,
      };
      await noteSaid(sql, name, await readCluster(sql, name), poll as never);
      const peer = { cluster: name, epoch: 1 } as never;
      const given = await handOut(sql, peer, poll as never, { process: "", words: new Set() }, 30);
      for (const jws of "answer" in given ? given.answer.commands : []) {
        const { jti } = JSON.parse(Buffer.from(jws.split(".")[1] ?? "", "base64url").toString()) as { jti: string };
        const result = results.get(name) ?? "succeeded";
        await settle(sql, peer, { kind: "outcome", command: jti, result, code: null } as never, "{}");
      }
    });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "reeve-rollout-"));
  await control("keys", "init", "--keys", at("keys"));
  // Its first start makes the state and the CA; nobody need serve for a rollout to be driven.
  const serving = start("serve", "--dir", at("d"), "--enrol", "127.0.0.1:0", "--agents", "127.0.0.1:0");
  await new Promise((resolve) => serving.child.stdout?.once("data", resolve));
  serving.child.kill("SIGTERM");
  await serving.done;
  const opened = openSigner({ keys: at("keys") });
  if (opened === null) throw new Error("no key");
  signer = opened;
  store = await openSqlite(at("d/state.db"));
  for (const name of CLUSTERS) {
    writeFileSync(at(`${name}.manifest`), filed(manifestOf(name, "1.0.0", 1), signer).note);
    const imported = await control("manifest", "import", at(`${name}.manifest`), "--dir", at("d"));
    if (imported.code !== 0) throw new Error(imported.err);
    const trusted = await control("keys", "trust", "--dir", at("d"), "--keys", at("keys"), "--cluster", name);
    if (trusted.code !== 0) throw new Error(trusted.err);
    await store.transaction(async (sql) => {
      await letAct(sql, name, 1, 1);
      await sql.run(
        "insert into logs (cluster, epoch, log_key, size, peaks, ahead) values ($1, 1, 'k', 1, '[]', '[]')",
        name,
      );
    });
  }
  for (const version of ["2.0.0", "3.0.0"])
    writeFileSync(at(`${version}.manifest`), filed(manifestOf("any", version, 1), signer).note);
  let polling = false;
  agents = setInterval(() => {
    if (polling) return;
    polling = true;
    void pollAll().finally(() => (polling = false));
  }, 200);
}, 240_000);

afterAll(async () => {
  clearInterval(agents);
  for (const child of children) child.kill("SIGKILL");
  await store.transaction(async () => undefined);
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

test("what cannot be rolled out is refused at the start, naming the field or the cluster", async () => {
  const lanes = await begin("2.0.0.manifest", "--lanes", "50,10,100");
  expect(lanes).toMatchObject({
    code: 2,
    err: expect.stringContaining('error: Cannot start the rollout: "50,10,100" are no lanes.\nhint: '),
  });
  const limit = await begin("2.0.0.manifest", "--max-failed", "many");
  expect(limit).toMatchObject({ code: 2, err: expect.stringContaining("is no --max-failed") });
  const canary = await begin("2.0.0.manifest", "--canary", "nobody");
  expect(canary).toMatchObject({ code: 2, err: expect.stringContaining("the canary nobody is none of its clusters") });
  const stranger = await begin("2.0.0.manifest", "--only", "nobody");
  expect(stranger).toMatchObject({ code: 1, err: expect.stringContaining("nobody: no manifest of it is known") });
  await control("keys", "init", "--keys", at("others"));
  const other = await rollout("start", at("2.0.0.manifest"), "--keys", at("others"), "--as", AS);
  expect(other).toMatchObject({
    code: 1,
    err: expect.stringContaining("the manifest is not signed by vendor.example/release-2026 with this key"),
  });
  const cloud = manifestOf("d", "1.0.0", 1);
  const away = { ...cloud, parameters: { ...cloud.parameters, place: { cloud: "aws", account: "1", region: "r" } } };
  writeFileSync(at("aws.manifest"), filed(away, signer).note);
  await control("manifest", "import", at("aws.manifest"), "--dir", at("d"));
  const image = await begin("2.0.0.manifest");
  expect(image).toMatchObject({
    code: 1,
    err: expect.stringContaining("d: nobody says where the image broker lies in aws/1/r"),
  });
  writeFileSync(at("d.again"), filed({ ...cloud, says: "again" }, signer).note);
  await control("manifest", "import", at("d.again"), "--dir", at("d"));
  expect((await rollout("list")).out).toBe("no rollout yet\n");
}, 240_000);

test("it is begun, paused, and taken up again: while it is paused nothing is sent, and a second one is refused meanwhile", async () => {
  const flags = ["--lanes", "25,100", "--canary", "c", "--soak", "1s", "--detach"];
  expect(await begin("2.0.0.manifest", ...flags)).toMatchObject({ code: 0, out: "rollout 1: 4 clusters in 2 lanes\n" });
  expect((await rollout("pause", "1")).out).toBe("rollout 1: paused\n");
  const driving = start("rollout", "run", "--dir", at("d"), "--keys", at("keys"));
  const watching = start("rollout", "watch", "1", "--dir", at("d"), "--json");
  // The driver has looked when the rollout's own time goes on.
  await until(() => elapsed(3000));
  expect((await summary(1)).lanes[0]?.states).toMatchObject({ pending: 1, sent: 0 });
  expect(await store.transaction((sql) => sql.rows("select * from rollout_commands"))).toEqual([]);
  const second = await begin("3.0.0.manifest");
  expect(second).toMatchObject({ code: 1, err: expect.stringContaining("rollout 1 has a and 3 more") });
  expect((await rollout("resume", "1")).code).toBe(0);
  const watched = await watching.done;
  expect(watched.code).toBe(0);
  const lines = watched.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Summary);
  expect(lines.at(-1)).toMatchObject({ state: "finished", left_behind: 0, states: { healthy: 4 } });
  // The canary's lane was over before anything of the next one began.
  for (const { lane, lanes } of lines) if (lane === 2) expect(lanes[0]?.states.healthy).toBe(1);
  driving.child.kill("SIGTERM");
  expect((await driving.done).code).toBe(0);
  const status = await rollout("status", "1", "--clusters");
  expect(status.out).toContain("rollout   1: finished\nrelease   release 2.0.0 (2.0.0)\n");
  expect(status.out).toMatch(/^c +1, canary +healthy +- +1$/m);
  expect((await rollout("pause", "1")).err).toContain("Cannot pause rollout 1: it is finished.");
}, 240_000);

test("a canary that fails stops it: nobody else is touched; rolled back, every touched cluster has what it had", async () => {
  results.set("b", "failed");
  const before = await newest();
  const stopped = await begin("3.0.0.manifest", "--lanes", "50,100", "--canary", "b", "--soak", "1h");
  expect(stopped.code).toBe(1);
  expect(stopped.out).toMatch(/^rollout 2: stopped: a canary failed; lane 1 of 2 \(50 %\); 2 pending, /m);
  const touched = await store.transaction((sql) =>
    sql.rows<{ cluster: string }>("select distinct cluster from rollout_commands where rollout = 2"),
  );
  expect(touched.length).toBeLessThanOrEqual(2);
  results.clear();
  expect((await rollout("rollback", "2")).out).toBe(`rollout 2: going back in ${touched.length} clusters\n`);
  const driving = start("rollout", "run", "--dir", at("d"), "--keys", at("keys"));
  const watched = await rollout("watch", "2");
  expect(watched.code).toBe(0);
  expect(watched.out).toContain("rollout 2: went back; ");
  driving.child.kill("SIGTERM");
  await driving.done;
  expect(await newest()).toEqual(before);
}, 240_000);

test("a driver with another release key drives nothing, says so once, and goes on", async () => {
  expect((await begin("3.0.0.manifest", "--detach")).code).toBe(0);
  const driving = start("rollout", "run", "--dir", at("d"), "--keys", at("keys"), "--release-keys", at("others"));
  let heard = "";
  driving.child.stderr?.on("data", (chunk: Buffer) => (heard += chunk.toString()));
  const refusal = "Cannot drive rollout 3: its manifest is not signed by vendor.example/release-2026 with this key";
  await until(async () => heard.includes(refusal));
  expect(await store.transaction((sql) => sql.rows("select * from rollout_commands where rollout = 3"))).toEqual([]);
  driving.child.kill("SIGTERM");
  const driven = await driving.done;
  expect(driven.code).toBe(0);
  expect(driven.err.split(refusal)).toHaveLength(2);
  expect((await rollout("abort", "3")).out).toBe("rollout 3: aborted\n");
}, 120_000);

test("watched on a terminal it is one table that goes on in its place; in a pipe plain lines, one for each change", async () => {
  expect((await begin("3.0.0.manifest", "--lanes", "50,100", "--soak", "1s", "--detach")).code).toBe(0);
  expect((await rollout("pause", "4")).code).toBe(0);
  const words = `rollout watch 4 --dir ${at("d")}`;
  // The line with the checksum is wider than this.
  const live = started("script", ["-qec", `stty cols ${COLUMNS} rows 40; ${CONTROL} ${words}`, "/dev/null"]);
  const piped = start(...words.split(" "));
  await until(async () => [live, piped].every(({ said }) => said().includes("rollout") && said().includes("paused")));
  const driving = start("rollout", "run", "--dir", at("d"), "--keys", at("keys"));
  expect((await rollout("resume", "4")).code).toBe(0);
  const [onTerminal, inPipe] = await Promise.all([live.done, piped.done]);
  driving.child.kill("SIGTERM");
  await driving.done;

  expect([onTerminal.code, inPipe.code, inPipe.err]).toEqual([0, 0, ""]);
  const screens = screensOf(onTerminal.out);
  const heads = screens.map((rows) => rows[0]);
  expect(heads[0]).toBe("rollout   4: paused");
  expect(heads.at(-1)).toBe("rollout   4: finished");
  // Each lane in its turn: the second is not begun while the first soaks.
  expect(screens.some((rows) => rows.some((row) => /^> 50 % .* 2 (sent|soaking)$/.test(row)))).toBe(true);
  expect(screens.some((rows) => rows.some((row) => /^> 100 % .* 2 (sent|soaking)$/.test(row)))).toBe(true);
  for (const rows of screens) expect(rows.filter((row) => row.includes("rollout "))).toHaveLength(1);
  // What stands there at the end is what `status` prints, and nothing of what stood there before.
  const status = (await rollout("status", "4")).out;
  expect(screens.at(-1)).toEqual(wrapped(status));

  expect(inPipe.out).not.toContain("\u001b");
  const lines = inPipe.out.trimEnd().split("\n");
  expect(lines.filter((line) => !/^rollout 4: [a-z]+; lane [12] of 2 \((50|100) %\); /.test(line))).toEqual([]);
  expect(lines.filter((line, n) => line === lines[n - 1])).toEqual([]);
  expect(lines[0]).toBe("rollout 4: paused; lane 1 of 2 (50 %); 4 pending");
  expect(lines.at(-1)).toBe("rollout 4: finished; lane 2 of 2 (100 %); 4 healthy");
  expect(lines.length).toBeGreaterThanOrEqual(4);
}, 240_000);

const COLUMNS = 80;
function wrapped(text: string): string[] {
  return text
    .slice(0, -1)
    .split("\n")
    .flatMap((line) => (line === "" ? [""] : (line.match(new RegExp(`.{1,${COLUMNS}}`, "gu")) ?? [])));
}

/** What stood on a terminal each time before something of it was taken away, and at the end. It knows CPL and ED (ECMA-48) and nothing else. */
function screensOf(said: string): string[][] {
  const screens: string[][] = [];
  let rows: string[] = [];
  for (const [, up, text = ""] of said.replaceAll("\r\n", "\n").matchAll(/(?:\u001b\[(\d+)F\u001b\[J)?([^\u001b]+)/g)) {
    if (up !== undefined) {
      screens.push(rows);
      rows = rows.slice(0, Math.max(0, rows.length - Number(up)));
    }
    rows = [...rows, ...wrapped(text)];
  }
  return [...screens, rows];
}

async function elapsed(milliseconds: number): Promise<boolean> {
  const [row] = await store.transaction((sql) =>
    sql.rows<{ elapsed: number }>("select elapsed from rollouts where id = 1"),
  );
  return (row?.elapsed ?? 0) >= milliseconds;
}

async function newest(): Promise<unknown[]> {
  return store.transaction((sql) =>
    sql.rows(
      "select r.cluster as cluster, r.digest as digest from revisions r where r.position = (select max(position) from revisions l where l.cluster = r.cluster) order by r.cluster",
    ),
  );
}
