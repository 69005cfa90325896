import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { digestOf } from "../../../agent/wire/envelope.ts";
import type { Manifest } from "../../../agent/wire/manifest.ts";
import { manifestText } from "../../../agent/wire/manifest.ts";
import { signManifest } from "../../../control/manifest/file.ts";
import { keepManifest } from "../../../control/manifest/inventory.ts";
import { makeDriver } from "../../../control/rollout/driver.ts";
import { noteCommand } from "../../../control/rollout/news.ts";
import type { RolloutRow } from "../../../control/rollout/schema.ts";
import type { Keys } from "../../../control/rollout/sign.ts";
import { startRollout } from "../../../control/rollout/start.ts";
import { abort, pause, resume, rollback } from "../../../control/rollout/steer.ts";
import type { Signer } from "../../../control/signer.ts";
import { openSqlite } from "../../../control/sqlite.ts";
import { signStatement } from "../../../control/statement.ts";
import { ensureCluster, nowSeconds, type Sql, type Store, writeMeta } from "../../../control/store.ts";
import { Complaint } from "../../../control/terminal.ts";
import { type Chance, chance } from "../random.ts";
import { installClock, type Pending, type Time, virtualTime } from "../time.ts";
import type { Ran } from "../world.ts";
import { type Judge, judgeOf } from "./judge.ts";
import { type Model, newModel } from "./model.ts";
import type { Happening, Plan } from "./plan.ts";

/**
 * A world of rollouts: the real store, the real rollout code and the control plane's own handlers, with modelled clusters, and drivers that die
 * at any transaction. One seed decides it.
 */
const START = Date.UTC(2026, 10, 2, 6);
/** A rollout that is open after so long never ends. */
const LAST_MS = 8 * 86_400_000;
const RUN_MS = 600_000;
/** Drivers look every few seconds. */
const STEP_MS = 10_000;
const MAX_WAIT_MS = 3000;
export const AS = "vendor.example/release-2026";
const VENDOR = "vendor.example";

export function newSigner(kid: string): Signer {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  return { kid, x, sign: (bytes) => sign(null, bytes, privateKey) };
}
export type Signers = { readonly command: Signer; readonly release: Signer };

class Died extends Error {}

export function manifestOf(cluster: string, version: string, groups: number): Manifest {
  const digest = digestOf(`image ${version}`);
  const named = Array.from({ length: groups }, (_, n) => [`g${n}`, { image: "broker", count: 3 }] as const);
  return {
    content: {
      agent: null,
      images: [{ name: "broker", digest, packages: [`pkg:deb/debian/openssl@${version}`] }],
      version,
    },
    parameters: {
      cluster,
      place: { cloud: "local", account: "", region: "" },
      images: { broker: digest },
      groups: Object.fromEntries(named),
      zones: [],
      authorities: [],
      names: [],
      policy: null,
    },
    type: "reeve-manifest",
    says: `release ${version}`,
    v: 1,
  };
}

/** A manifest as it is read from its file. */
export function filed(manifest: Manifest, release: Signer) {
  const note = signManifest(manifest, AS, release);
  return { manifest, digest: digestOf(manifestText(manifest).slice(0, -1)), note, signers: [AS] };
}

type World = {
  readonly plan: Plan;
  readonly draw: Chance;
  readonly time: Time;
  readonly store: Store;
  readonly judge: Judge;
  readonly signers: Signers;
  readonly models: Model[];
  readonly names: string[];
  readonly say: (what: string) => void;
  offset: number;
  noDriverUntil: number;
  started: number;
};

export async function runRollouts(plan: Plan, signers: Signers, crypto: Pending): Promise<Ran> {
  const trace: string[] = [];
  const time = virtualTime(START, crypto, () => undefined);
  const state = { offset: 0 };
  const wall = (): number => time.now() + state.offset;
  const uninstall = installClock(wall);
  const models = new Map<string, Model>();
  const judge = judgeOf({ now: () => time.now(), wall, model: (name) => models.get(name) });
  try {
    const store = await openSqlite(":memory:");
    const draw = chance(plan.seed).fork("world");
    const world: World = {
      plan,
      draw,
      time,
      store,
      judge,
      signers,
      models: [],
      names: Array.from({ length: plan.clusters }, (_, n) => `c${n}`),
      say: (what) => void trace.push(`${((time.now() - START) / 1000).toFixed(1)} ${what}`),
      get offset() {
        return state.offset;
      },
      set offset(value: number) {
        state.offset = value;
      },
      noDriverUntil: 0,
      started: 0,
    };
    const doing = found(world, models);
    await settled(time, doing);
    for (let n = 0; n < plan.drivers; n++) driverOf(world, n);
    await play(world);
    store.close();
    const digest = createHash("sha256").update(trace.join("\n")).digest("hex");
    const changes = judge.commands.size;
    const lasted = time.now() - START;
    return { violations: judge.violations, trace, digest, steps: time.steps, changes, lasted, awake: lasted };
  } finally {
    uninstall();
  }
}

/** What waits for nothing but promises is done when they have settled. */
async function settled<T>(time: Time, doing: Promise<T>): Promise<T> {
  let over = false;
  void doing.then(
    () => (over = true),
    () => (over = true),
  );
  while (!over) await time.settle();
  return doing;
}

async function found(world: World, models: Map<string, Model>): Promise<void> {
  const { plan, store, signers, draw, time, judge, names } = world;
  const images = new Map<string, string>();
  const imageOf = (manifest: string): string => images.get(manifest) ?? "";
  await store.transaction((sql) => writeMeta(sql, "trust_domain", VENDOR));
  for (const [n, name] of names.entries()) {
    const file = filed(manifestOf(name, "1.0.0", 1 + (n % 2)), signers.release);
    for (const version of ["1.0.0", "2.0.1", "2.0.2", "2.0.3", "2.0.4", "2.0.5", "2.0.6", "2.0.7", "2.0.8"])
      images.set(filed(manifestOf(name, version, 1 + (n % 2)), signers.release).digest, digestOf(`image ${version}`));
    images.set(file.digest, digestOf("image 1.0.0"));
    await store.transaction(async (sql) => {
      await ensureCluster(sql, name);
      await keepManifest(sql, file, "setup", "setup");
      await sql.run(
        "insert into trust (cluster, version, jws) values ($1, 1, $2)",
        name,
        statement(name, signers.command),
      );
    });
    const own = new Map(Object.keys(file.manifest.parameters.groups).map((group) => [group, digestOf("image 1.0.0")]));
    const model = newModel(name, own, draw.fork(name), { store, time, judge, temper: plan.temper, imageOf });
    models.set(name, model);
    world.models.push(model);
    if (n >= plan.neverStarted) await model.rejoin();
    model.begin();
  }
}

function statement(aud: string, { kid, x, sign: by }: Signer): string {
  const claims = {
    iss: VENDOR,
    aud,
    version: 1,
    iat: nowSeconds(),
    roots: ["AAAA"],
    command_keys: [{ kid, x }],
    witness_keys: [],
  };
  return signStatement(claims, { kid, x, sign: by });
}

/** A driver's process: it dies at any transaction, before it, or when nobody can tell, and another one comes. */
function driverOf(world: World, number: number): void {
  const { plan, time, store, judge, signers } = world;
  const draw = world.draw.fork(`driver ${number}`);
  const keys: Keys = { release: signers.release, command: () => signers.command };
  const wait = (milliseconds: number): Promise<void> =>
    new Promise((resolve) => void time.after(milliseconds, resolve));
  const mortal: Store = {
    ...store,
    close: () => undefined,
    async transaction(work) {
      await wait(draw.odds(0.8) ? 0 : draw.int(0, MAX_WAIT_MS));
      if (draw.odds(plan.dies / 3) || time.now() < world.noDriverUntil) throw new Died();
      const undone = draw.odds(plan.dies / 3);
      const { result, seen } = await store.transaction(async (sql) => {
        let wrote = false;
        const done = await work({
          ...sql,
          run(text, ...values) {
            wrote ||= !text.startsWith("update rollouts set elapsed");
            return sql.run(text, ...values);
          },
        });
        if (undone) throw new Died();
        return { result: done, seen: wrote ? await judge.read(sql) : null };
      });
      for (const { cluster, rollout, attempt } of seen?.fresh ?? [])
        world.say(`driver ${number}: rollout ${rollout}: ${cluster}, attempt ${attempt}`);
      if (seen !== null) judge.apply(seen);
      if (draw.odds(plan.dies / 3)) throw new Died();
      return result;
    },
  };
  async function live(): Promise<void> {
    const driver = makeDriver(mortal, VENDOR, keys, () => time.now(), STEP_MS);
    try {
      for (;;) {
        for (const id of await driver.open()) await driver.drive(id);
        await wait(draw.int(3000, 9000));
      }
    } catch (error) {
      if (!(error instanceof Died)) {
        judge.violate("broken", error instanceof Error ? `${error.stack}` : String(error));
        return;
      }
      await wait(draw.odds(0.8) ? draw.int(1000, 20_000) : draw.int(60_000, 600_000));
      void live();
    }
  }
  void live();
}

async function play(world: World): Promise<void> {
  const { plan, time, judge } = world;
  await operator(world, "start");
  for (const happening of plan.happenings) {
    await time.run(START + happening.at);
    if (judge.violations.length > 0) return;
    await settled(time, happen(world, happening));
  }
  // From now on nobody hinders it: what is paused goes on, and all that is open ends.
  for (const model of world.models) {
    model.says = model.says === "refusing" ? "refusing" : "ready";
  }
  await operator(world, "resume");
  while (judge.violations.length === 0 && (await openOnes(world)).length > 0) {
    await time.run(time.now() + RUN_MS);
    if (time.now() - START > LAST_MS) judge.violate("ends", `it is open after ${LAST_MS / 86_400_000} days`);
  }
  if (judge.violations.length === 0) await settled(time, lookAround(world));
}

async function openOnes({ store, time }: World): Promise<RolloutRow[]> {
  return settled(
    time,
    store.transaction((sql) => sql.rows<RolloutRow>("select * from rollouts where open = 1 order by id")),
  );
}

async function happen(world: World, happening: Happening): Promise<void> {
  const { models, store, time, judge } = world;
  world.say(JSON.stringify(happening));
  if (!("cluster" in happening)) {
    if (happening.what === "clock") world.offset += happening.by;
    else if (happening.what === "no-driver") world.noDriverUntil = time.now() + happening.lasts;
    else await operator(world, happening.what);
    return;
  }
  const model = models[happening.cluster];
  if (model === undefined) return;
  if (happening.what === "rejoin") return model.rejoin();
  if (happening.what === "silence") model.silentUntil = Math.max(model.silentUntil, time.now() + happening.lasts);
  else if (happening.what === "fail") {
    const soaks = await store.transaction((sql) => failOtherwise(sql, model, time.now()));
    if (soaks) judge.failedOtherwise(model.name);
  } else model.says = happening.what === "suspend" ? "suspended" : happening.what === "refuse" ? "refusing" : "ready";
}

/** A command of an operator's own fails in a cluster, `at` a moment of the world. Says whether a rollout watched it soak. */
async function failOtherwise(sql: Sql, { name, epoch }: Model, at: number): Promise<boolean> {
  const [row] = await sql.rows(
    "select cluster from rollout_clusters where cluster = $1 and claimed = 1 and state = 'soaking'",
    name,
  );
  await sql.run(
    `insert into commands (id, cluster, epoch, resource, jws, digest, exp, state, cancel, replay) values ($1, $2, $3, 'group:other', '', '', 0, 'failed', 0, 0)`,
    `other-${name}-${at}`,
    name,
    epoch,
  );
  await noteCommand(sql, name, "failed");
  return row !== undefined;
}

type Verb = "start" | "pause" | "resume" | "abort" | "rollback";
/** What the operator says goes through the same store; that it is refused is an answer. */
async function operator(world: World, verb: Verb): Promise<void> {
  const { store, judge, time } = world;
  const said = async (): Promise<void> => {
    if (verb === "start") return begin(world);
    const seen = await store.transaction(async (sql) => {
      const [row] = await sql.rows<{ id: number }>(
        "select max(id) as id from rollouts where $1 = 'rollback' or open = 1",
        verb,
      );
      const id = row?.id ?? 0;
      if (verb === "pause") await pause(sql, id);
      else if (verb === "resume") await resume(sql, id);
      else if (verb === "abort") await abort(sql, id);
      else await rollback(sql, id);
      return judge.read(sql);
    });
    judge.apply(seen);
  };
  try {
    await settled(time, said());
    world.say(`operator: ${verb}`);
  } catch (error) {
    if (!(error instanceof Complaint)) throw error;
    world.say(`operator: ${verb}: ${error.message}`);
  }
}

async function begin(world: World): Promise<void> {
  const { plan, store, judge, signers, names, time } = world;
  const version = `2.0.${world.started + 1}`;
  if (world.started >= 8) return;
  const open = await store.transaction((sql) =>
    sql.rows("select id from rollouts where open = 1 and state in ('running', 'paused')"),
  );
  const was = await store.transaction((sql) =>
    sql.rows<{ cluster: string; digest: string }>(
      "select r.cluster as cluster, r.digest as digest from revisions r where r.position = (select max(position) from revisions l where l.cluster = r.cluster)",
    ),
  );
  const canaries = names.slice(-plan.canaries || names.length);
  const id = await startRollout(
    store,
    {
      file: filed(manifestOf("any", version, 2), signers.release),
      lanes: plan.lanes,
      only: null,
      canaries,
      soakMs: plan.soakMs,
      waitMs: plan.waitMs,
      maxFailed: plan.maxFailed,
      maxRefused: "100%",
      images: {},
      signer: AS,
      by: "operator",
      why: "because",
    },
    signers.release,
  );
  world.started++;
  if (open.length > 0) judge.violate("two rollouts", `rollout ${id} was begun beside another`);
  const members = await store.transaction((sql) =>
    sql.rows<{ cluster: string; lane: number }>("select cluster, lane from rollout_clusters where rollout = $1", id),
  );
  judge.begun({
    id,
    lanes: plan.lanes,
    laneOf: new Map(members.map(({ cluster, lane }) => [cluster, lane])),
    canaries: new Set(canaries),
    soakMs: plan.soakMs,
    waitMs: plan.waitMs,
    maxFailed: plan.maxFailed,
    was: new Map(was.map(({ cluster, digest }) => [cluster, digest])),
    version,
    phase: "forward",
    state: "running",
    lane: 0,
    since: [time.now()],
    healthy: new Set(),
    failed: new Set(),
    good: new Map(),
  });
}

/** At the end: what is called well runs what it should. */
async function lookAround({ store, judge, models, started }: World): Promise<void> {
  const rows = await store.transaction((sql) =>
    sql.rows<{ cluster: string; version: string; phase: string }>(
      "select m.cluster as cluster, r.version as version, r.phase as phase from rollout_clusters m join rollouts r on r.id = m.rollout and r.phase = m.phase where r.id = $1 and m.state = 'healthy'",
      started,
    ),
  );
  for (const { cluster, version, phase } of rows) {
    if (phase === "back") continue;
    const images = models.find(({ name }) => name === cluster)?.images ?? new Map();
    for (const [group, image] of images)
      if (image !== digestOf(`image ${version}`))
        judge.violate("target", `${cluster} is called well, and ${group} does not run it`);
  }
}
