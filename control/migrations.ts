import { INVENTORY_SCHEMA } from "./inventories.ts";
import { MANIFEST_SCHEMA } from "./manifest/inventory.ts";
import { REFUSALS_SCHEMA } from "./refusals.ts";
import { REVISION_SCHEMA } from "./revisions/schema.ts";
import { ROLLOUT_SCHEMA } from "./rollout/schema.ts";
import { OPEN_OR_REPLAYED, SCHEMA } from "./store.ts";

/**
 * Each once, in this order, in one transaction with what is new beside it. A state knows the names of those that it has seen: they never
 * change, and none is ever put before or between others. A new one goes to the end, with the next number.
 */
export type Migrations = readonly (readonly [name: string, statements: readonly string[]])[];

/** Before connections were compared with counted moments: all that was written then came first. */
const COUNTED_MOMENTS: readonly string[] = [
  "create table counters (name text primary key, value bigint not null)",
  "insert into counters (name, value) values ('moment', 0)",
  "update retired_certificates set at = '0'",
  "update replaced_processes set at = '0'",
  "update seen_heads set at = '0'",
  "delete from meta where name in ('start', 'changes')",
];

/** Nonces that were used (nonces.ts): `until` in milliseconds. */
const USED_NONCES: readonly string[] = [
  "create table used_nonces (nonce text primary key, until bigint not null)",
  "create index used_nonces_by_time on used_nonces (until)",
];

/** What each poll, renewal and enrolment asks is found without looking at every other agent's (test/control/plans.test.ts). */
const FOUND_AT_ONCE: readonly string[] = [
  "create index certificates_by_cluster on certificates (cluster, epoch, slot)",
  "create index tokens_by_cluster on tokens (cluster, epoch)",
  "create index manifests_by_cluster on manifests (cluster)",
  // Its condition stands in the query of control/poll.ts word for word: SQLite looks for just that.
  `create index commands_open on commands (cluster, epoch) where ${OPEN_OR_REPLAYED}`,
];

/** The control plane's. */
export const MIGRATIONS: Migrations = [
  // The tables of before there were numbers: a state of then has them already.
  ["0001-first", [...SCHEMA, ...MANIFEST_SCHEMA]],
  ["0002-counted-moments", COUNTED_MOMENTS],
  ["0003-used-nonces", USED_NONCES],
  ["0004-revisions", REVISION_SCHEMA],
  ["0005-inventories", INVENTORY_SCHEMA],
  ["0006-rollouts", ROLLOUT_SCHEMA],
  ["0007-refusals", REFUSALS_SCHEMA],
  ["0008-found-at-once", FOUND_AT_ONCE],
];
