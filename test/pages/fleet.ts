import type { Entry } from "../../agent/audit/entry.ts";
import { learn } from "../../control/known.ts";
import { raiseAlarm, type Sql } from "../../control/store.ts";
import { addCluster } from "../control/planWorld.ts";
import { ask, keep } from "./stage.ts";

/** A fleet with one cluster in each state, and what they did. */
export const LIBRARIES = [
  "pkg:deb/debian/openssl@3.0.11-1~deb12u2",
  "pkg:deb/debian/zlib1g@1.2.13",
  "pkg:npm/%40scope/left@1.3.0",
];
export async function oneOfEach(sql: Sql): Promise<void> {
  await addCluster(sql, "ready-eu-1", { policy: null });
  await addCluster(sql, "off-eu-1", { policy: null, state: "suspended", reason: "maria: maintenance" });
  await addCluster(sql, "no-eu-1", { policy: null, state: "refusing", reason: "policy.invalid" });
  await addCluster(sql, "silent-eu-1", { policy: null, silent: 7200 });
  await addCluster(sql, "waits-eu-1", { policy: null });
  await addCluster(sql, "new-eu-1", { policy: null, epoch: 0, silent: null });
  await addCluster(sql, "copied-eu-1", { policy: null });
  await sql.run(
    "insert into copies (cluster, epoch, at, why) values ('copied-eu-1', 1, 1, 'two showed one certificate')",
  );
  await raiseAlarm(sql, "copied-eu-1", "copy", "1", "two hold the identity of epoch 1");
  await ask(sql, "waits-eu-1", { state: "waiting" });
  await ask(sql, "ready-eu-1", { state: "succeeded", why: "INC-4312: queue is growing" });
  await ask(sql, "ready-eu-1", { state: "refused", code: "policy.count.above-max" });
  await stopped(sql);
  await keep(sql, "ready-eu-1", LIBRARIES);
  await keep(sql, "silent-eu-1", ["pkg:deb/debian/openssl@3.0.15-1"]);
  for (const [index, hours] of [1, 2, 30, 400].entries())
    await learn(
      sql,
      { cluster: "ready-eu-1", epoch: 1, serial: "", accepted: null },
      refusedEntry("ready-eu-1", index + 1, hours),
    );
}

/** A rollout that stopped in its first lane of two. */
async function stopped(sql: Sql): Promise<void> {
  await sql.run(
    `insert into rollouts (id, checksum, version, says, note, lanes, soak_ms, wait_ms, max_failed, max_refused, signer, images, said_by, why,
       started_at, state, phase, open, lane, lane_since, elapsed, because, clusters)
     values (1, $1, '4.2.1', 'x', 'n', '[10,100]', 1, 1, '1', '1', 's', '{}', 'maria', 'CVE-2026-1', 1795000000, 'stopped', 'forward', 0, 0, 0, 0,
       '1 of 1 failed', 3)`,
    `sha256:${"c".repeat(64)}`,
  );
  for (const [lane, percent, clusters] of [
    [0, 10, 1],
    [1, 100, 2],
  ] as const)
    await sql.run(
      "insert into rollout_lanes (rollout, lane, percent, clusters) values (1, $1, $2, $3)",
      lane,
      percent,
      clusters,
    );
  for (const [at, [cluster, lane, state, code]] of [
    ["silent-eu-1", 0, "failed", "silent"],
    ["off-eu-1", 1, "pending", null],
    ["ready-eu-1", 1, "pending", null],
  ].entries())
    await sql.run(
      `insert into rollout_clusters (rollout, cluster, lane, position, canary, state, code, phase, attempts, since, failures, news, gap, due, changes, claimed)
       values (1, $1, $2, $3, 0, $4, $5, 'forward', 1, 0, 0, 0, 0, 0, 0, 1)`,
      ...([cluster, lane, at, state, code] as (string | number | null)[]),
    );
}

/** A refusal that an agent recorded so many hours ago. */
export function refusedEntry(cluster: string, index: number, hoursAgo: number, more: object = {}): Entry {
  return {
    ...{
      v: 1,
      kind: "refused",
      cluster,
      epoch: 1,
      index,
      time: new Date(Date.now() - hoursAgo * 3_600_000).toISOString(),
    },
    ...{ action: "scale", asked: { group: "brokers", count: 12 }, command: Bun.randomUUIDv7(), exp: 1 },
    ...{ by: { key: "k", says: { operator: "m", why: "w" } }, digest: `sha256:${"0".repeat(64)}` },
    ...{ code: "policy.count.above-max", because: "the customer's rule allows at most 9", hint: "Ask for 9" },
    ...{ rule: "grow", field: "count", found: "7", limit: "9", policy: null, first: null },
    ...more,
  } as Entry;
}
