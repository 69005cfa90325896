import { signText } from "../manifest/file.ts";
import { isTrusted, type SignedCommand, signCommand } from "../send.ts";
import type { Signer } from "../signer.ts";
import { type Statement, signFirstStatement } from "../statement.ts";
import type { Sql, Store } from "../store.ts";
import { ownTime } from "./clock.ts";
import { BATCH, COMMAND_SECONDS, PARKED_LOOK_MS, STEP_MS } from "./limits.ts";
import { holdRollout } from "./lock.ts";
import { type Looked, look, type Wish, whyOf } from "./look.ts";
import { type Order, orderOf } from "./order.ts";
import { put, type Signed } from "./put.ts";
import type { RolloutRow } from "./schema.ts";
import { type Frame, frameOf } from "./target.ts";
import { turn } from "./turn.ts";

/** Rounds of one rollout before the others have their turn. */
const MAX_ROUNDS = 20;

/** The keys: whoever drives holds them, `serve` never does. */
export type Keys = {
  /** The command key for a cluster with these trust statements, of which its agent has accepted this version. Throws a Complaint. */
  command(statements: readonly Statement[], accepted: number): Signer;
  readonly release: Signer;
};
export type Driver = {
  /** Looks once at an open rollout, and does what is due. Says whether it left anything that was due. */
  drive(id: number): Promise<boolean>;
  /** The rollouts that are open, oldest first. */
  open(): Promise<number[]>;
};

/**
 * Drives rollouts. Several at once are safe, and each may die at any moment: every step is one transaction, and what is signed in between
 * is worth nothing until it is stored. `steady`: milliseconds of a clock that never goes back.
 */
export function makeDriver(
  store: Store,
  dir: string,
  trustDomain: string,
  keys: Keys,
  steady: () => number,
  stepMs: number = STEP_MS,
): Driver {
  const time = ownTime(steady, stepMs);
  const orders = new Map<number, { readonly order: Order; readonly frame: Frame }>();

  async function begin(id: number): Promise<RolloutRow | null> {
    return store.transaction(async (sql) => {
      const [rollout] = await sql.rows<RolloutRow>("select * from rollouts where id = $1 and open = 1", id);
      return rollout ?? null;
    });
  }

  /** The rollout as it is now, by its own time: what is read after this was so at that time or before. */
  async function now(sql: Sql, id: number): Promise<RolloutRow | null> {
    const rollout = await holdRollout(sql, id);
    if (rollout === null || rollout.open === 0) return null;
    const elapsed = time.advance(id, rollout.elapsed);
    await sql.run("update rollouts set elapsed = $1 where id = $2 and elapsed < $1", elapsed, id);
    return { ...rollout, elapsed };
  }

  function orderFor(rollout: RolloutRow): { readonly order: Order; readonly frame: Frame } {
    const known = orders.get(rollout.id);
    if (known !== undefined) return known;
    const order = orderOf(rollout, keys.release);
    const made = { order, frame: frameOf(order.manifest.content, order.manifest.says) };
    orders.set(rollout.id, made);
    return made;
  }

  async function signAll({ rollout, wishes }: Looked): Promise<Signed[]> {
    const signed: Signed[] = [];
    for (const wish of wishes) {
      const one = await sign(rollout, wish);
      if (one !== null) signed.push(one);
    }
    return signed;
  }

  /** Null, and the cluster is put aside, where the key is none of its statement's. */
  async function sign(rollout: RolloutRow, wish: Wish): Promise<Signed | null> {
    const signer = keys.command(wish.statements, wish.accepted);
    const first = wish.statements.length === 0;
    if (first) await signFirstStatement(store, dir, wish.cluster, signer);
    else if (!isTrusted(wish.statements, signer)) {
      await store.transaction((sql) => putAside(sql, rollout, wish));
      return null;
    }
    const commands: SignedCommand[] = [];
    for (const group of wish.groups) {
      const words = {
        asked: { action: "deploy" as const, args: { group, manifest: wish.digest } },
        by: rollout.said_by,
        why: whyOf(rollout),
        lifetime: COMMAND_SECONDS,
        dryRun: false,
      };
      commands.push(await signCommand(words, wish.cluster, trustDomain, wish.epoch, signer));
    }
    const note = wish.fresh === null ? null : signText(wish.fresh.target.text, rollout.signer, keys.release);
    return { wish, note, commands };
  }

  return {
    open: () =>
      store.transaction(async (sql) => {
        const rows = await sql.rows<{ id: number }>("select id from rollouts where open = 1 order by id");
        return rows.map(({ id }) => id);
      }),
    async drive(id) {
      const rollout = await begin(id);
      if (rollout === null) return false;
      const { order, frame } = orderFor(rollout);
      let more = true;
      for (let round = 0; more && round < MAX_ROUNDS; round++) {
        const looked = await store.transaction(async (sql) => {
          const at = await now(sql, id);
          return at === null ? null : look(sql, at, order, frame, stepMs);
        });
        if (looked === null) return false;
        const signed = await signAll(looked);
        if (signed.length > 0) await store.transaction((sql) => put(sql, id, order, looked.rollout.phase, signed));
        more = looked.count === BATCH;
      }
      await store.transaction((sql) => turn(sql, id));
      return more;
    },
  };
}

async function putAside(sql: Sql, rollout: RolloutRow, wish: Wish): Promise<void> {
  await sql.run(
    `update rollout_clusters set state = 'cut-off', code = 'key-not-trusted', due = $1, changes = changes + 1
     where rollout = $2 and cluster = $3 and changes = $4`,
    rollout.elapsed + PARKED_LOOK_MS,
    rollout.id,
    wish.cluster,
    wish.changes,
  );
}
