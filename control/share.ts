import { createHash } from "node:crypto";
import type { SharedInventory, SharedPolicy } from "../agent/wire/protocol.ts";
import { MAX_POLICY_BYTES } from "../policy/limits.ts";
import { parsePolicy } from "../policy/parse.ts";
import { Faulted } from "./fault.ts";
import { forgetInventory } from "./inventories.ts";
import { isNoPolicy, noteNoPolicy, readPolicyEntry } from "./known.ts";
import type { Peer } from "./peer.ts";
import { nowSeconds, type Sql } from "./store.ts";

/** Nothing more to say. */
type Taken = Record<string, never>;

/**
 * Keeps the policy's text that a customer shares, or forgets it. Taken only when it is the very text that the agent's newest `policy`
 * entry names as in force, so that what `fleet plan` judges by is what the agent judges by. The text is not trusted: it is parsed
 * under the parser's limits, its tests are not run.
 */
export async function takeShared(sql: Sql, peer: Peer, shared: SharedPolicy): Promise<Taken | Faulted> {
  if (shared.text === null) {
    await sql.run("delete from shared where cluster = $1 and digest = $2", peer.cluster, shared.digest);
    return {};
  }
  const bytes = Buffer.from(shared.text);
  if (bytes.length > MAX_POLICY_BYTES)
    return new Faulted("too-large", `a policy has at most ${MAX_POLICY_BYTES} bytes`);
  if (`sha256:${createHash("sha256").update(bytes).digest("hex")}` !== shared.digest)
    return new Faulted("malformed", "the digest is not the text's");
  const entry = await readPolicyEntry(sql, peer);
  if (entry?.digest !== shared.digest || entry.code !== null)
    return new Faulted("conflict", "the newest policy entry that was handed in does not name this text as in force");
  // The same text once more, after a restart or a lost answer.
  const [kept] = await sql.rows<{ digest: string }>("select digest from shared where cluster = $1", peer.cluster);
  if (kept?.digest === shared.digest) return {};
  const refused = new Faulted("malformed", "the text is not a policy that shares itself");
  if (await isNoPolicy(sql, peer, shared.digest)) return refused;
  const parsed = parsePolicy(bytes);
  if ("errors" in parsed || !parsed.policy.share.includes("policy")) {
    await noteNoPolicy(sql, peer, entry.position, shared.digest);
    return refused;
  }
  await sql.run(
    `insert into shared (cluster, epoch, digest, body, at) values ($1, $2, $3, $4, $5)
     on conflict (cluster) do update set epoch = excluded.epoch, digest = excluded.digest, body = excluded.body, at = excluded.at`,
    peer.cluster,
    peer.epoch,
    shared.digest,
    bytes.toString(),
    nowSeconds(),
  );
  return {};
}

/** Taken only while the newest `policy` entry names the policy that shares it, in force; `groups` null forgets. */
export async function takeInventory(
  sql: Sql,
  peer: Peer,
  { policy, groups }: SharedInventory,
): Promise<Taken | Faulted> {
  if (groups === null) {
    await sql.run("delete from inventories where cluster = $1 and policy = $2", peer.cluster, policy);
    return {};
  }
  const entry = await readPolicyEntry(sql, peer);
  if (entry?.digest !== policy || entry.code !== null)
    return new Faulted("conflict", "the newest policy entry that was handed in does not name this policy as in force");
  await sql.run(
    `insert into inventories (cluster, epoch, policy, body, at) values ($1, $2, $3, $4, $5)
     on conflict (cluster) do update set epoch = excluded.epoch, policy = excluded.policy, body = excluded.body, at = excluded.at`,
    peer.cluster,
    peer.epoch,
    policy,
    JSON.stringify(groups),
    nowSeconds(),
  );
  return {};
}

/** A new agent shares anew, or does not. */
export async function forgetShared(sql: Sql, cluster: string): Promise<void> {
  await sql.run("delete from shared where cluster = $1", cluster);
  await forgetInventory(sql, cluster, null);
}
