import type { Sql } from "../../../control/store.ts";
import type { Violation } from "../oracle.ts";
import type { Model, Says } from "./model.ts";

/**
 * What must hold of rollouts, by what clusters really did and what the control plane was told of it. It shares nothing with control/rollout but
 * the tables' names. All times are true ones, in milliseconds, but for `wall`: the vendor's clock, which is set now and then.
 */
export type Known = {
  readonly id: number;
  /** Cumulative percentages, and by cluster: its lane. */
  readonly lanes: readonly number[];
  readonly laneOf: Map<string, number>;
  readonly canaries: ReadonlySet<string>;
  readonly soakMs: number;
  readonly waitMs: number;
  readonly maxFailed: string;
  /** By cluster, the manifest before. */
  readonly was: ReadonlyMap<string, string>;
  readonly version: string;
  phase: string;
  state: string;
  lane: number;
  /** When each lane began, of the present phase. */
  readonly since: number[];
  readonly healthy: Set<string>;
  readonly failed: Set<string>;
  /** By cluster, since when it is well with it; only while it is. */
  readonly good: Map<string, number>;
};
type Command = {
  readonly id: string;
  readonly rollout: number;
  readonly phase: string;
  readonly cluster: string;
  readonly group: string;
  readonly attempt: number;
  readonly at: number;
  /** As it was reported last; null: nothing was. */
  said: string | null;
  saidAt: number;
  gone: boolean;
};
type Claims = { readonly exp: number; readonly iat: number; readonly args: { readonly manifest: string } };
type Told = { says: Says | null; wall: number; at: number; backAt: number };
type Row = {
  readonly id: number;
  readonly state: string;
  readonly phase: string;
  readonly lane: number;
  readonly open: number;
};
type New = {
  readonly id: string;
  readonly cluster: string;
  readonly epoch: number;
  readonly jws: string;
  readonly rollout: number;
  readonly phase: string;
  readonly grp: string;
  readonly attempt: number;
  readonly note: string | null;
};
type Member = {
  readonly rollout: number;
  readonly cluster: string;
  readonly state: string;
  readonly phase: string;
  readonly code: string | null;
};
type Placed = { readonly rollout: number; readonly cluster: string; readonly lane: number };
export type Seen = {
  /** How each cluster of the newest rollout is, for what is told of a violation. */
  readonly how: ReadonlyMap<string, string>;
  readonly rollouts: readonly Row[];
  readonly fresh: readonly New[];
  readonly members: readonly Member[];
  readonly lanes: readonly Placed[];
  readonly states: ReadonlyMap<string, string>;
};
export type Judge = ReturnType<typeof judgeOf>;

const AWAY_MS = 120_000;
/** Of so long nobody can have overlooked it. */
const SILENT_MS = 600_000;
/** A cluster that came back so recently may not have been looked at yet. */
const SLACK_MS = 120_000;
const MAX_ATTEMPTS = 8;
const MAX_LIFE_SECONDS = 3600;
const OPEN = ["queued", "handed-out", "waiting", "intent"];

export function judgeOf(at: { now(): number; wall(): number; model(cluster: string): Model | undefined }) {
  const violations: Violation[] = [];
  const known = new Map<number, Known>();
  const commands = new Map<string, Command>();
  const told = new Map<string, Told>();
  const violate = (invariant: string, what: string): void => void violations.push({ invariant, what } as Violation);
  const open = (): Known[] => [...known.values()].filter(({ state }) => state !== "finished");
  const away = (cluster: string): boolean => Math.abs(at.wall() - (told.get(cluster)?.wall ?? 0)) > AWAY_MS + 2000;

  /** Whether all that a rollout asked of a cluster was reported done. */
  function done(rollout: Known, cluster: string): boolean {
    const all = latestOf(rollout, cluster);
    return all.length > 0 && all.every(({ said }) => said === "succeeded");
  }

  /** The newest command of each group. */
  function latestOf(rollout: Known, cluster: string): Command[] {
    const groups = new Map<string, Command>();
    for (const one of commands.values())
      if (one.cluster === cluster && one.rollout === rollout.id && one.phase === rollout.phase)
        groups.set(one.group, one);
    return [...groups.values()];
  }

  function latest(rollout: Known, cluster: string): Command | undefined {
    return [...commands.values()].findLast(
      (one) => one.cluster === cluster && one.rollout === rollout.id && one.phase === rollout.phase,
    );
  }

  /** Cannot act, as far as was told. */
  function parked(rollout: Known, cluster: string): boolean {
    const { says, backAt } = told.get(cluster) ?? { says: null, backAt: 0 };
    if (says !== "ready" || away(cluster) || at.now() - backAt < SLACK_MS) return true;
    const last = latestOf(rollout, cluster);
    if (last.length === 0)
      return [...commands.values()].some((one) => one.cluster === cluster && mayRun(one, "queued"));
    return last.some(
      ({ said, saidAt, attempt }) =>
        said === "waiting" || said === "refused" || at.now() - saidAt < SLACK_MS || attempt >= MAX_ATTEMPTS,
    );
  }

  /** Whether an agent has it in hand, or can still get it. */
  function mayRun(command: Command, state: string): boolean {
    if (command.gone) return false;
    const model = at.model(command.cluster);
    if (model?.held.has(command.id)) return true;
    return (
      OPEN.includes(state) && command.said !== "succeeded" && command.said !== "failed" && command.said !== "unknown"
    );
  }

  /** Was touched, said that it was well, and then nothing more: what it got may have silenced it. */
  function silenced(rollout: Known, cluster: string): boolean {
    const { says, at: last } = told.get(cluster) ?? { says: null, at: at.now() };
    const all = latestOf(rollout, cluster);
    const touched =
      all.length > 0 && all.every(({ said, gone }) => !gone && (said === "intent" || said === "succeeded"));
    return touched && says === "ready" && away(cluster) && at.now() - last > SILENT_MS;
  }

  function mayGo(rollout: Known, below: number, { how }: Seen): void {
    for (const [cluster, lane] of rollout.laneOf) {
      if (lane >= below || rollout.healthy.has(cluster) || rollout.failed.has(cluster)) continue;
      if (rollout.phase === "back" && latest(rollout, cluster) === undefined) continue;
      if (rollout.phase === "forward" && silenced(rollout, cluster))
        violate("lanes", `rollout ${rollout.id}: lane ${below}, and ${cluster} was touched and fell silent`);
      const waited = at.now() - (rollout.since[lane] ?? at.now());
      if (parked(rollout, cluster) && waited >= rollout.waitMs) continue;
      violate(
        "lanes",
        `rollout ${rollout.id}: lane ${below} after ${waited / 1000} s, and ${cluster} of lane ${lane} is not well: ${latest(rollout, cluster)?.said ?? "nothing said"}, ${how.get(cluster)}`,
      );
    }
  }

  /** One cluster of a later lane, when nobody of those so far is well: all have failed, or cannot act and were waited for. */
  function widened(rollout: Known, { cluster, lane }: Placed): void {
    const since = rollout.since[rollout.lane] ?? at.now();
    for (const [other, of] of rollout.laneOf) {
      if (of > rollout.lane || rollout.failed.has(other)) continue;
      if (rollout.healthy.has(other)) violate("lanes", `${cluster} comes into lane ${lane}, and ${other} is well`);
      if (!parked(rollout, other) || at.now() - since < rollout.waitMs)
        violate("lanes", `${cluster} comes into lane ${lane}, and ${other} is not done with`);
    }
    if (rollout.phase !== "forward" || rollout.state !== "running" || lane !== rollout.lane)
      violate("lanes", `${cluster} comes into lane ${lane} of rollout ${rollout.id}`);
    rollout.laneOf.set(cluster, lane);
    rollout.since[lane] = at.now();
  }

  function limit(rollout: Known): number {
    if ((rollout.lanes[rollout.lane] ?? 100) <= 10) return 0;
    const begun = [...rollout.laneOf.values()].filter((lane) => lane <= rollout.lane).length;
    const { maxFailed } = rollout;
    return maxFailed.endsWith("%") ? Math.floor((begun * Number.parseInt(maxFailed, 10)) / 100) : Number(maxFailed);
  }

  function judgeNew(one: New, seen: Seen): void {
    const { id, cluster, rollout: number } = one;
    const rollout = known.get(number);
    const claims = JSON.parse(Buffer.from(one.jws.split(".")[1] ?? "", "base64url").toString()) as Claims;
    const command = {
      id,
      cluster,
      rollout: number,
      phase: one.phase,
      group: one.grp,
      attempt: one.attempt,
      at: at.now(),
      said: null,
      saidAt: at.now(),
      gone: false,
    };
    for (const other of commands.values())
      if (other.cluster === cluster && other.group === one.grp && mayRun(other, seen.states.get(other.id) ?? ""))
        violate("one at a time", `${cluster} gets ${id}, while ${other.id} may still run (${other.said})`);
    commands.set(id, command);
    if (rollout === undefined)
      violate("two rollouts", `${cluster} gets a command of rollout ${number}, which was refused`);
    if (rollout === undefined) return;
    if (rollout.state !== "running")
      violate("paused", `${cluster} gets a command, and rollout ${number} is ${rollout.state}`);
    if ((rollout.laneOf.get(cluster) ?? 99) > rollout.lane)
      violate("lanes", `${cluster} gets a command before its lane`);
    const lost = rollout.failed.size;
    const canary = [...rollout.failed].find((name) => rollout.canaries.has(name));
    if (rollout.phase === "forward" && (lost > limit(rollout) || canary !== undefined))
      violate(
        "threshold",
        `${cluster} gets a command although ${lost} have failed, and ${limit(rollout)} may (${canary ?? "no canary"})`,
      );
    if (one.epoch !== at.model(cluster)?.epoch) violate("epoch", `${cluster} gets a command for epoch ${one.epoch}`);
    if (claims.exp - claims.iat > MAX_LIFE_SECONDS) violate("life", `${id} lives too long`);
    const tries = [...commands.values()].filter(
      (other) =>
        other.cluster === cluster &&
        other.rollout === number &&
        other.phase === one.phase &&
        other.group === one.grp &&
        seen.states.get(other.id) !== "cancelled",
    );
    if (tries.length > MAX_ATTEMPTS) violate("attempts", `${cluster} gets its command for the ${tries.length}th time`);
    const { digest, text } = { digest: claims.args.manifest, text: one.note ?? "" };
    const manifest =
      text === ""
        ? null
        : (JSON.parse(text.slice(0, text.indexOf("\n"))) as {
            content: { version: string };
            parameters: { cluster: string };
          });
    if (manifest?.parameters.cluster !== cluster) violate("target", `${cluster} gets a manifest that is not its own`);
    else if (rollout.phase === "forward" && manifest.content.version !== rollout.version)
      violate("target", `${cluster} gets ${manifest.content.version}`);
    else if (rollout.phase === "back" && digest !== rollout.was.get(cluster))
      violate("target", `${cluster} does not go back to what it had`);
  }

  function becameHealthy(rollout: Known, cluster: string): void {
    rollout.healthy.add(cluster);
    const since = rollout.good.get(cluster);
    const soak = rollout.phase === "back" ? 0 : rollout.soakMs;
    const asked = latest(rollout, cluster) !== undefined;
    // One to which nothing was to be done has no outcome: from when on it is well is not told.
    if (!asked) return;
    if (!done(rollout, cluster) || since === undefined) {
      violate("soak", `${cluster} is called well, and was not seen so`);
      return;
    }
    if (at.now() - since < soak)
      violate("soak", `${cluster} is called well after ${(at.now() - since) / 1000} s of ${soak / 1000}`);
    if (away(cluster) || told.get(cluster)?.says !== "ready")
      violate("soak", `${cluster} is called well, and nobody hears of it`);
  }

  return {
    violations,
    commands,
    known,
    violate,
    begun(rollout: Known): void {
      known.set(rollout.id, rollout);
    },
    /** In the transaction of a driver or an operator, at its end. */
    async read(sql: Sql): Promise<Seen> {
      const rows = await sql.rows<{ id: string; state: string; ours: string | null }>(
        "select c.id as id, c.state as state, k.command as ours from commands c left join rollout_commands k on k.command = c.id where c.state <> 'succeeded'",
      );
      const fresh: New[] = [];
      for (const { id } of rows.filter((row) => row.ours !== null && !commands.has(row.id)))
        fresh.push(
          ...(await sql.rows<New>(
            `select c.id as id, c.cluster as cluster, c.epoch as epoch, c.jws as jws, k.rollout as rollout, k.phase as phase, k.grp as grp,
             k.attempt as attempt, (select note from manifests m where m.cluster = c.cluster and m.digest in
               (select case when r.phase = 'back' then r.was else r.target end from rollout_clusters r where r.rollout = k.rollout and r.cluster = c.cluster)) as note
             from commands c join rollout_commands k on k.command = c.id where c.id = $1`,
            id,
          )),
        );
      return {
        rollouts: await sql.rows<Row>("select id, state, phase, lane, open from rollouts order by id"),
        fresh,
        lanes: await sql.rows<Placed>(
          "select m.rollout as rollout, m.cluster as cluster, m.lane as lane from rollout_clusters m join rollouts r on r.id = m.rollout where r.open = 1",
        ),
        members: await sql.rows<Member>(
          "select m.rollout as rollout, m.cluster as cluster, m.state as state, m.phase as phase, m.code as code from rollout_clusters m join rollouts r on r.id = m.rollout and r.phase = m.phase where m.state in ('healthy', 'failed')",
        ),
        how: new Map(
          (
            await sql.rows<{ cluster: string; how: string }>(
              "select cluster, phase || ' ' || state || ' ' || coalesce(code, '') as how from rollout_clusters where rollout = (select max(id) from rollouts)",
            )
          ).map(({ cluster, how }) => [cluster, how]),
        ),
        states: new Map(rows.map(({ id, state }) => [id, state])),
      };
    },
    apply(seen: Seen): void {
      for (const row of seen.rollouts) {
        const rollout = known.get(row.id);
        if (rollout === undefined) continue;
        if (row.phase !== rollout.phase) {
          rollout.phase = row.phase;
          rollout.lane = 0;
          rollout.since.splice(0, rollout.since.length, at.now());
          for (const set of [rollout.healthy, rollout.failed, rollout.good]) set.clear();
        }
        const ended = row.state === "finished" && rollout.state !== "finished";
        rollout.state = row.state;
        for (const { rollout: id, cluster, state, code } of seen.members) {
          if (id !== rollout.id) continue;
          if (state === "failed" && (code === "no-outcome" || code === "silent")) rollout.failed.add(cluster);
          if (state === "healthy" && !rollout.healthy.has(cluster)) becameHealthy(rollout, cluster);
        }
        for (const placed of seen.lanes)
          if (placed.rollout === row.id && placed.lane !== rollout.laneOf.get(placed.cluster)) widened(rollout, placed);
        if (row.lane < rollout.lane) violate("lanes", `rollout ${row.id} goes back to lane ${row.lane}`);
        if (row.lane > rollout.lane + 1) violate("lanes", `rollout ${row.id} skips a lane`);
        if (row.lane > rollout.lane) {
          rollout.lane = row.lane;
          const empty = ![...rollout.laneOf.values()].some((lane) => lane >= row.lane);
          if (rollout.phase === "forward" && rollout.healthy.size === 0 && !empty)
            violate("lanes", `rollout ${row.id}: lane ${row.lane}, and nobody is well with it`);
          mayGo(rollout, row.lane, seen);
          rollout.since[row.lane] = at.now();
        }
        if (ended) {
          if (row.lane + 1 !== rollout.lanes.length) violate("lanes", `rollout ${row.id} ends before its last lane`);
          mayGo(rollout, rollout.lanes.length, seen);
        }
      }
      for (const one of seen.fresh) judgeNew(one, seen);
    },
    polled({ name }: Model, says: Says): void {
      const before = told.get(name);
      const back = before === undefined || before.says !== "ready" || away(name);
      told.set(name, { says, wall: at.wall(), at: at.now(), backAt: back ? at.now() : (before?.backAt ?? 0) });
      for (const rollout of open()) {
        if (says !== "ready") rollout.good.delete(name);
        else if (back && rollout.good.has(name)) rollout.good.set(name, at.now());
        else if (!rollout.good.has(name) && done(rollout, name)) rollout.good.set(name, at.now());
      }
    },
    reported(
      { name }: Model,
      said: { readonly kind: string; readonly command: string; readonly [key: string]: unknown },
    ): void {
      const command = commands.get(said.command);
      if (command === undefined || command.gone) return;
      command.saidAt = at.now();
      command.said = said.kind === "outcome" ? String(said["result"]) : said.kind;
      const rollout = known.get(command.rollout);
      if (rollout === undefined || command.phase !== rollout.phase) return;
      if (command.said === "failed" || command.said === "unknown") rollout.failed.add(name);
      if (done(rollout, name) && told.get(name)?.says === "ready") rollout.good.set(name, at.now());
    },
    /** A command of another kind failed in a cluster. */
    failedOtherwise(cluster: string): void {
      for (const rollout of open())
        if (rollout.good.has(cluster) && !rollout.healthy.has(cluster) && rollout.state === "running") {
          rollout.failed.add(cluster);
          rollout.good.delete(cluster);
        }
    },
    rejoined({ name }: Model): void {
      for (const one of commands.values())
        if (one.cluster === name && one.said !== "succeeded" && one.said !== "failed") one.gone = true;
      told.delete(name);
      for (const rollout of open()) rollout.good.delete(name);
    },
  };
}
