import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { EntryBody } from "../../agent/audit/entry.ts";
import type { Log } from "../../agent/audit/log.ts";
import { ROOT } from "../../build/command.ts";
import { DIGEST, started } from "../audit/world.ts";

/** A log as a customer has one: every way a command can end, under the policy of test/policy/example.yaml. */
export const POLICY_FILE = join(ROOT, "test/policy/example.yaml");
const POLICY = `sha256:${hash("sha256", readFileSync(POLICY_FILE), "hex")}`;

type Body<K extends EntryBody["kind"]> = Extract<EntryBody, { kind: K }>;
type Asking = Pick<Body<"intent">, "action" | "asked" | "by" | "command" | "digest" | "exp">;
type Found = Body<"intent">["found"];

export function asking(action: Asking["action"], asked: Asking["asked"], operator: string, why: string): Asking {
  return {
    action,
    asked,
    by: { key: "cmd-2026-11", says: { operator, why } },
    command: Bun.randomUUIDv7(),
    digest: DIGEST,
    exp: Math.floor(Date.now() / 1000) + 3600,
  };
}

export function intent(of: Asking, rule: string, found: Found): Body<"intent"> {
  return {
    ...of,
    kind: "intent",
    allowed: { policy: POLICY, rule },
    found,
    resource: "group:brokers",
    signed: "a.b.c",
    csr: null,
  };
}

export function outcome(of: Asking, index: number, more: Partial<Body<"outcome">> = {}): Body<"outcome"> {
  return {
    kind: "outcome",
    command: of.command,
    intent: index,
    result: "succeeded",
    code: null,
    known_by: "answer",
    changed: [],
    operations: [],
    certificate: null,
    details: null,
    ...more,
  };
}

export function refusal(of: Asking, more: Partial<Body<"refused">> = {}): Body<"refused"> {
  return {
    ...of,
    kind: "refused",
    code: "policy.count.above-max",
    because: "the customer's rule brokers-grow allows at most 9",
    hint: "Ask for 9 or fewer, or ask prod-eu-1's owner to raise count.max in brokers-grow.",
    rule: "brokers-grow",
    field: "count.max",
    found: "7",
    limit: "count: { min: 3, max: 9 }",
    policy: POLICY,
    first: null,
    ...more,
  };
}

export function operation(name: string, resource: string, more: Partial<Body<"outcome">["operations"][number]> = {}) {
  const request = hash("sha256", name + resource, "hex")
    .slice(0, 32)
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  return { operation: name, resource, request, status: "ok", milliseconds: 184, changes: true, ...more };
}

const GROUP = "prod-eu-1-brokers";
export const scaleTo = (count: number, operator = "maria@vendor.example", why = "INC-4312"): Asking =>
  asking("scale", { count, group: GROUP }, operator, why);

/** Appends one scale command with its outcome. */
export function scaled(log: Log, from: number, to: number, why = "INC-4312"): void {
  const of = scaleTo(to, "maria@vendor.example", why);
  log.append([intent(of, to > from ? "brokers-grow" : "brokers-shrink", { count: from })]);
  const operations = [
    operation("autoscaling:DescribeAutoScalingGroups", GROUP, { changes: false, milliseconds: 61 }),
    operation("autoscaling:SetDesiredCapacity", GROUP),
  ];
  const at = log.size - 1;
  log.append([outcome(of, at, { changed: [{ what: "count", from: String(from), to: String(to) }], operations })]);
}

/** One of everything that the timeline tells apart; the newest last. */
export function story(log: Log): void {
  log.append([
    started,
    { kind: "policy", policy: POLICY, revision: 7, code: null },
    { kind: "switch", on: true, why: "" },
  ]);
  scaled(log, 3, 5);
  scaled(log, 5, 7, "INC-4318: queue is growing");
  log.append([refusal(scaleTo(12))]);
  const dns = asking(
    "update-dns",
    {
      change: "create",
      name: "b7.brokers.prod-eu-1.example.com",
      ttl: 60,
      type: "A",
      values: ["10.20.0.7"],
      zone: "prod-eu-1.example.com",
    },
    "deploy-bot@vendor.example",
    "roll-out 2026.48",
  );
  log.append([intent(dns, "broker-dns", { values: [] })]);
  const name = "prod-eu-1.example.com/b7.brokers.prod-eu-1.example.com";
  const failed = [operation("route53:ChangeResourceRecordSets", name, { status: "throttled", request: null })];
  log.append([outcome(dns, log.size - 1, { result: "failed", code: "throttled", operations: failed })]);
  const authority = "prod-eu-1-ca";
  const certificate = asking(
    "issue-certificate",
    { authority, csr_sha256: "51be".repeat(16), usages: ["server"], validity: 7 * 86_400 },
    "deploy-bot@vendor.example",
    "roll-out 2026.48",
  );
  log.append([intent(certificate, "broker-certificates", { key: "P-256", names: ["b7.prod-eu-1.example.com"] })]);
  const unheard = [operation("acm-pca:IssueCertificate", authority, { status: "timeout", request: null })];
  log.append([
    outcome(certificate, log.size - 1, {
      result: "unknown",
      code: "deadline",
      known_by: "nothing",
      operations: unheard,
    }),
  ]);
  const { exp: _, ...dry } = scaleTo(8, "sam@vendor.example", "Would it fit?");
  log.append([
    {
      ...dry,
      exp: _,
      kind: "considered",
      allowed: { policy: POLICY, rule: "brokers-grow" },
      found: { count: 7 },
      signed: "a.b.c",
    },
  ]);
  const shrink = scaleTo(6, "sam@vendor.example", "Fewer brokers at night");
  log.append([
    {
      ...shrink,
      kind: "waiting",
      allowed: { policy: POLICY, rule: "brokers-shrink" },
      approval: { by: ["alice", "bob"], need: 1, within: 7200 },
      found: { count: 7 },
      resource: `group:${GROUP}`,
      sentence: "brokers-shrink: vendor.example may remove a machine, once 1 of alice and bob approved.",
      signed: "a.b.c",
      until: shrink.exp,
    },
  ]);
  log.append([
    {
      kind: "approval",
      approves: shrink.command,
      code: null,
      digest: DIGEST,
      key: "ssh-ed25519 AAAA",
      person: "alice",
      signature: "AAAA",
    },
  ]);
  log.append([
    { ...intent(shrink, "brokers-shrink", { count: 7 }), approved: [{ entry: log.size - 1, person: "alice" }] },
  ]);
  log.append([
    outcome(shrink, log.size - 1, {
      changed: [{ what: "count", from: "7", to: "6" }],
      operations: [operation("autoscaling:SetDesiredCapacity", GROUP)],
    }),
  ]);
  log.append([{ kind: "rejected", code: "open.signature", digest: DIGEST, bytes: 412 }]);
  const taken = scaleTo(9);
  log.append([{ kind: "cancelled", command: taken.command }]);
  log.append([intent(scaleTo(7), "brokers-grow", { count: 6 })]);
}
