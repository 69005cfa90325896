import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import type { EntryBody } from "../agent/audit/entry.ts";
import { type Log, openLog } from "../agent/audit/log.ts";
import { realHost } from "../agent/host/real.ts";

export const CLUSTER = "prod-eu-1";
export const AGENT_ID = `spiffe://vendor.example/cluster/${CLUSTER}/agent`;

/** What vouches for a log's key in entry 0. Without one the log can be written, and not be verified. */
export type Voucher = { readonly chain: readonly string[]; sign(origin: string, key: string): string };
const NOBODY: Voucher = { chain: ["MA=="], sign: () => "" };

/** A log of its own in `folder`/audit, as `reeve run` opens it, over the real disk. */
export function benchLog(folder: string, voucher: Voucher = NOBODY): Log {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const x = publicKey.export({ format: "jwk" }).x;
  if (x === undefined) throw new Error("a public key without x");
  const key = Buffer.from(x, "base64url").toString("base64");
  const origin = `${AGENT_ID}/epoch/1`;
  return openLog(realHost(), join(folder, "audit"), {
    origin,
    cluster: CLUSTER,
    epoch: 1,
    logKey: { privateKey, publicKey: key },
    segmentBytes: 16 * 1024 * 1024,
    first: () => ({
      kind: "epoch",
      origin,
      log_keys: [{ key, from: 0 }],
      chain: [...voucher.chain],
      signature: voucher.sign(origin, key),
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
