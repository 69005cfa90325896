import { createHash } from "node:crypto";
import type { Entry } from "../../agent/audit/entry.ts";
import { learn } from "../../control/known.ts";
import { nowSeconds, type Sql } from "../../control/store.ts";

/** Clusters as the store holds them once their agents have handed in entries and shared a policy: for plans over many of them. */
export const RULE = (id: string, more: Readonly<Record<string, string>> = {}): string => {
  const fields = {
    why: "x",
    allow: "scale",
    group: "brokers",
    count: "{ min: 3, max: 9 }",
    change: "{ up: 2, down: 0 }",
    rate: "4 per hour",
    when: "always",
    approval: "none",
    ...more,
  };
  return `  - id: ${id}\n${Object.entries(fields)
    .map(([name, value]) => `    ${name}: ${value}\n`)
    .join("")}`;
};
const ALICE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINtZ4O9PuEUN83PrKXXZbb8LYwVQohR4fjGuYLVh0jnI";
const BOB = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHqFHRDbKQ9JIihr5L9esibQDHdYvgyWhx+g0Qa7cot6";

export function policyText(
  cluster: string,
  rules: string,
  more: { share?: string; revision?: number; vendor?: string } = {},
): string {
  return `version: 1
revision: ${more.revision ?? 7}
cluster: ${cluster}
vendor: ${more.vendor ?? "vendor.example"}
place: { cloud: local }
people: { alice: ${ALICE}, bob: ${BOB} }
signers: {}
share: ${more.share ?? "[policy]"}
dry_run: allowed
rules:${rules === "" ? " []" : `\n${rules}`}
tests: []
`;
}

export type ClusterLike = {
  /** Null: nothing is shared. */
  readonly policy: string | null;
  readonly epoch?: number;
  readonly state?: "ready" | "suspended" | "refusing";
  readonly reason?: string;
  /** Seconds since the last poll; null: it never polled. */
  readonly silent?: number | null;
};

export async function addCluster(sql: Sql, cluster: string, like: ClusterLike): Promise<void> {
  const now = nowSeconds();
  const { epoch = 1, state = "ready", reason = "", silent = 1 } = like;
  await sql.run(
    `insert into clusters (cluster, epoch, enrolled_at, state, reason, trust_version, last_seen) values ($1, $2, $3, $4, $5, 1, $6)`,
    cluster,
    epoch,
    now - 100,
    state,
    reason,
    silent === null ? null : now - silent,
  );
  if (like.policy === null) return;
  const digest = `sha256:${createHash("sha256").update(like.policy).digest("hex")}`;
  await sql.run(
    "insert into shared (cluster, epoch, digest, body, at) values ($1, $2, $3, $4, $5)",
    cluster,
    epoch,
    digest,
    like.policy,
    now,
  );
}

/** The entry as `takeReport` stores it, and what is learnt from it. */
export async function handIn(sql: Sql, cluster: string, entry: Entry): Promise<void> {
  const { epoch, index } = entry;
  await sql.run(
    "insert into entries (cluster, epoch, position, line, root) values ($1, $2, $3, $4, '')",
    cluster,
    epoch,
    index,
    JSON.stringify(entry),
  );
  await learn(sql, { cluster, epoch, serial: "", accepted: null }, entry);
}

type Intent = Extract<Entry, { kind: "intent" }>;
/** Entries of one command that succeeded: an intent at `index`, its outcome after it. */
export function done(cluster: string, index: number, at: number, intent: Partial<Intent>): [Entry, Entry] {
  const common = { v: 1, time: new Date(at).toISOString(), cluster, epoch: 1 } as const;
  const command = Bun.randomUUIDv7();
  const first: Intent = {
    ...common,
    index,
    kind: "intent",
    action: "scale",
    asked: { group: "brokers", count: 6 },
    by: { key: "k", says: { operator: "m", why: "w" } },
    command,
    digest: `sha256:${"0".repeat(64)}`,
    exp: 1,
    allowed: { policy: `sha256:${"0".repeat(64)}`, rule: "grow" },
    found: { count: 5 },
    resource: "group:brokers",
    signed: "a.b.c",
    csr: null,
    ...intent,
  };
  const second: Entry = {
    ...common,
    index: index + 1,
    kind: "outcome",
    command,
    intent: index,
    result: "succeeded",
    code: null,
    known_by: "answer",
    changed: [],
    operations: [],
    certificate: null,
    details: null,
  };
  return [first, second];
}
