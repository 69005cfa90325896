import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Moments } from "./moment.ts";
import { readMeta, type Sql, type Store, writeMeta } from "./store.ts";

const LIFETIME_MS = 60_000;
/** Those who serve on one store have clocks that differ by less. */
const CLOCKS_DIFFER_MS = 60_000;
/** What was used is kept so much longer than it lives. */
const KEPT_MS = 600_000;
const PRUNED_AT_ONCE = 100;

/**
 * Single-use nonces, good at whichever of those who serve on one store. Those given out are not kept, so that asking for many costs nothing;
 * those used are, for longer than they live.
 */
export type Nonces = {
  make(): string;
  /** True once for each nonce, durable before it is said. */
  use(nonce: string): Promise<boolean>;
  /** The newest moment that was known when a nonce that `use` took was made: a lower bound, as of a connection. */
  madeAt(nonce: string): number;
};

/** A nonce is 6 bytes of its end, 6 of the newest moment, 4 of chance, 16 of an HMAC by a key of the store. `now`: milliseconds since 1970. */
export async function openNonces(
  store: Store,
  moments: Pick<Moments, "newest">,
  now: () => number = Date.now,
): Promise<Nonces> {
  const key = await store.transaction(nonceKey);
  const tag = (head: Uint8Array): Buffer => createHmac("sha256", key).update(head).digest().subarray(0, 16);
  return {
    make() {
      const head = Buffer.alloc(16);
      head.writeUIntBE(now() + LIFETIME_MS, 0, 6);
      head.writeUIntBE(moments.newest(), 6, 6);
      randomBytes(4).copy(head, 12);
      return Buffer.concat([head, tag(head)]).toString("base64url");
    },
    async use(nonce) {
      const bytes = Buffer.from(nonce, "base64url");
      if (bytes.length !== 32 || bytes.toString("base64url") !== nonce) return false;
      const head = bytes.subarray(0, 16);
      if (!timingSafeEqual(tag(head), bytes.subarray(16))) return false;
      const until = head.readUIntBE(0, 6);
      if (until <= now() || until > now() + LIFETIME_MS + CLOCKS_DIFFER_MS) return false;
      return store.transaction((sql) => burn(sql, nonce, until, now()), `nonce ${nonce}`);
    },
    madeAt: (nonce) => Buffer.from(nonce, "base64url").readUIntBE(6, 6),
  };
}

async function nonceKey(sql: Sql): Promise<Buffer> {
  const known = await readMeta(sql, "nonce_key");
  const key = known ?? randomBytes(32).toString("hex");
  if (known === null) await writeMeta(sql, "nonce_key", key);
  return Buffer.from(key, "hex");
}

async function burn(sql: Sql, nonce: string, until: number, now: number): Promise<boolean> {
  await sql.run(
    `delete from used_nonces where nonce in (select nonce from used_nonces where until < $1 order by until limit ${PRUNED_AT_ONCE}${sql.skipLocked})`,
    now - KEPT_MS,
  );
  const text = "insert into used_nonces (nonce, until) values ($1, $2) on conflict (nonce) do nothing";
  return (await sql.run(text, nonce, until)) === 1;
}
