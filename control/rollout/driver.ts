import type { Sql, Store } from "../store.ts";
import { Complaint } from "../terminal.ts";
import { ownTime } from "./clock.ts";
import { BATCH, PARKED_LOOK_MS, PUT_AT_ONCE, SIGN_MS, STEP_MS } from "./limits.ts";
import { holdRollout } from "./lock.ts";
import { type Looked, look, type Wish, type Work } from "./look.ts";
import { orderOf } from "./order.ts";
import { put, type Signed } from "./put.ts";
import type { RolloutRow } from "./schema.ts";
import { type Keys, signWish } from "./sign.ts";
import { frameOf } from "./target.ts";
import { turn } from "./turn.ts";

/** Rounds of one rollout before the others have their turn. */
const MAX_ROUNDS = 20;

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
  trustDomain: string,
  keys: Keys,
  steady: () => number,
  stepMs: number = STEP_MS,
): Driver {
  const time = ownTime(steady, stepMs);
  const works = new Map<number, Work>();

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

  function workFor(rollout: RolloutRow): Work {
    const known = works.get(rollout.id);
    if (known !== undefined) return known;
    const order = orderOf(rollout, keys.release);
    const made = { order, frame: frameOf(order.manifest.content, order.manifest.says), key: keys.release };
    works.set(rollout.id, made);
    return made;
  }

  /** Signs some of what was wished for, as much as is soon done, and queues it. Says how many wishes are done, and whether it goes on. */
  async function some(work: Work, rollout: RolloutRow, wishes: readonly Wish[]): Promise<[done: number, on: boolean]> {
    const began = steady();
    const signed: Signed[] = [];
    let done = 0;
    for (const wish of wishes.slice(0, PUT_AT_ONCE)) {
      if (done > 0 && steady() - began >= SIGN_MS) break;
      const one = await signWish(keys, work.order.signer, trustDomain, rollout, wish);
      if ("aside" in one) await store.transaction((sql) => putAside(sql, rollout, wish, one.aside));
      else signed.push(one);
      done++;
    }
    const on =
      signed.length === 0 ||
      (await store.transaction((sql) => put(sql, rollout.id, work.order, rollout.phase, signed)));
    return [done, on];
  }

  async function signAll(work: Work, { rollout, wishes }: Looked): Promise<void> {
    for (let left = wishes, on = true; on && left.length > 0; ) {
      const [done, goesOn] = await some(work, rollout, left);
      left = left.slice(done);
      on = goesOn;
    }
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
      const work = workFor(rollout);
      let more = true;
      for (let round = 0; more && round < MAX_ROUNDS; round++) {
        const looked = await store.transaction(async (sql) => {
          const at = await now(sql, id);
          return at === null ? null : look(sql, at, work, stepMs);
        });
        if (looked === null) return false;
        await signAll(work, looked);
        more = looked.count === BATCH;
      }
      await store.transaction((sql) => turn(sql, id));
      return more;
    },
  };
}

/**
 * One look at every open rollout. One that cannot be driven keeps no other from it: why is told once, each time that it is another reason. Says
 * whether anything that was due is left. `said`: what was told already.
 */
export async function driveOpen(
  driver: Driver,
  said: Set<string>,
  tell: (complaint: Complaint) => void,
): Promise<boolean> {
  let more = false;
  for (const id of await driver.open())
    try {
      more = (await driver.drive(id)) || more;
    } catch (error) {
      if (!(error instanceof Complaint)) throw error;
      const what = `${id} ${error.message}`;
      if (!said.has(what)) tell(error);
      said.add(what);
    }
  return more;
}

async function putAside(sql: Sql, rollout: RolloutRow, wish: Wish, code: string): Promise<void> {
  await sql.run(
    `update rollout_clusters set state = 'cut-off', code = $5, due = $1, changes = changes + 1
     where rollout = $2 and cluster = $3 and changes = $4`,
    rollout.elapsed + PARKED_LOOK_MS,
    rollout.id,
    wish.cluster,
    wish.changes,
    code,
  );
}
