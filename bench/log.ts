import { join } from "node:path";
import type { EntryBody } from "../agent/audit/entry.ts";
import { type Log, openLog } from "../agent/audit/log.ts";
import { logKeyBinding } from "../agent/audit/note.ts";
import { realHost } from "../agent/host/real.ts";
import { logKeysOf, newLogKeyPem } from "../agent/identity/keys.ts";

export const CLUSTER = "prod-eu-1";
export const AGENT_ID = `spiffe://vendor.example/cluster/${CLUSTER}/agent`;

/** What vouches for a log's key in entry 0. Without one the log can be written, and not be verified. */
export type Voucher = { readonly chain: readonly string[]; sign(binding: Uint8Array): string };
const NOBODY: Voucher = { chain: ["MA=="], sign: () => "" };

/** A log of its own in `folder`/audit, as `reeve run` opens it, over the real disk. */
export function benchLog(folder: string, voucher: Voucher = NOBODY): Log {
  let pems: { log_key: string; next_log_key: string | null } = { log_key: newLogKeyPem(), next_log_key: null };
  const keys = logKeysOf({
    stored: () => pems,
    save(next) {
      pems = next;
    },
  });
  const key = keys.current;
  const origin = `${AGENT_ID}/epoch/1`;
  return openLog(realHost(), join(folder, "audit"), {
    origin,
    cluster: CLUSTER,
    epoch: 1,
    keys,
    vouch: (binding) => ({ chain: voucher.chain, signature: voucher.sign(binding) }),
    segmentBytes: 16 * 1024 * 1024,
    segmentAgeMs: 7 * 24 * 3600 * 1000,
    retentionMs: 400 * 24 * 3600 * 1000,
    first: () => ({
      kind: "epoch",
      origin,
      log_keys: [{ key, from: 0 }],
      chain: [...voucher.chain],
      signature: voucher.sign(logKeyBinding(origin, key, 0)),
      before: null,
      config: `sha256:${"0".repeat(64)}`,
    }),
    since: null,
  });
}

/** An entry as most of a log is: a refusal, some 700 bytes on disk. */
export function sampleEntry(id: string): EntryBody {
  return {
    kind: "refused",
    action: "scale",
    asked: { count: 12, group: "prod-eu-1-brokers" },
    by: { key: "cmd-2026-11", says: { operator: "maria@vendor.example", why: "INC-4312" } },
    command: id,
    digest: `sha256:${"51be".repeat(16)}`,
    exp: 1_795_000_000,
    code: "policy.count.above-max",
    because: "the customer's rule brokers-grow allows at most 9",
    hint: "Ask for 9 or fewer.",
    rule: "brokers-grow",
    field: "count",
    found: "7",
    limit: "count: { min: 3, max: 9 }",
    policy: `sha256:${"9f2c".repeat(16)}`,
    first: null,
  };
}
