import { generateKeyPairSync, sign } from "node:crypto";
import type { Json } from "../../agent/wire/canonical.ts";
import { AGENT, type CommandKey, commandKey, jws } from "../identity/plane.ts";
import { command } from "./actor.ts";

/** What no policy permits or no agent should read, each with the code it is refused by. */
export function madCommands(key: CommandKey): { readonly text: string; readonly code: string }[] {
  const now = Math.floor(Date.now() / 1000);
  const of = (code: string, change: Record<string, Json>): { text: string; code: string } => ({
    text: command(key, change),
    code,
  });
  const scale = (group: string, count: number): Record<string, Json> => ({ action: "scale", args: { group, count } });
  const record = {
    zone: "example.com",
    name: "a.brokers.example.com",
    type: "A",
    change: "create",
    values: ["10.20.0.1"],
    ttl: 60,
  };
  const dns = (change: Record<string, Json>): Record<string, Json> => ({
    action: "update-dns",
    args: { ...record, ...change },
  });
  const certificate = (change: Record<string, Json>): Record<string, Json> => ({
    action: "issue-certificate",
    args: { authority: "clients", csr_sha256: "0".repeat(64), usages: ["server"], validity: 86_400, ...change },
  });
  return [
    of("policy.count.above-max", scale("brokers", 3)),
    of("policy.count.above-max", scale("brokers", 100_000)),
    of("parse.number", scale("brokers", -1)),
    of("match.no-rule", scale("reeve", 0)),
    of("match.no-rule", scale("../../etc/reeve", 0)),
    of("policy.changes", dns({ change: "replace" })),
    of("policy.names", dns({ name: "example.com" })),
    of("policy.names", dns({ name: "brokers.example.com" })),
    of("parse.name", dns({ name: "*.brokers.example.com" })),
    of("policy.values", dns({ values: ["10.21.0.1"] })),
    of("policy.types", dns({ type: "TXT", values: ["v=spf1 +all"] })),
    of("policy.ttl.below-min", dns({ ttl: 1 })),
    of("match.no-rule", certificate({ authority: "root" })),
    of("policy.usages", certificate({ usages: ["client"] })),
    of("policy.validity.above-max", certificate({ validity: 31 * 86_400 })),
    of("policy.csr.unreadable", certificate({})),
    of("verify.epoch", { epoch: 2 }),
    of("verify.epoch", { epoch: 1_000_000_000 }),
    of("verify.audience", { aud: AGENT.replace("prod-eu-1", "prod-eu-2") }),
    of("verify.issuer", { iss: "other.example" }),
    of("verify.expired", { iat: now - 7200, exp: now - 3600 }),
    of("verify.not-yet-valid", { iat: now + 7200, exp: now + 10_000 }),
    of("verify.lifetime", { iat: now, exp: now + 25 * 3600 }),
    of("verify.id-time", { jti: "01930000-0000-7000-8000-000000000001" }),
    of("parse.action", { action: "exec", args: { command: "/bin/sh" } }),
    of("parse.claims", { sudo: true }),
    { text: command(commandKey(key.kid)), code: "open.signature" },
    { text: command(commandKey("another")), code: "open.key" },
    { text: jws({ alg: "none", kid: key.kid, typ: "reeve-command+jwt" }, {}, key.privateKey), code: "open.header" },
    {
      text: jws({ alg: "Ed25519", b64: false, kid: key.kid, typ: "reeve-command+jwt" }, {}, key.privateKey),
      code: "open.header",
    },
    { text: signedBytes(key, '{"why":1,"aud":2}'), code: "parse.not-canonical" },
    { text: signedBytes(key, `${"[".repeat(4000)}${"]".repeat(4000)}`), code: "parse.too-deep" },
    { text: "x".repeat(64 * 1024), code: "open.too-long" },
    { text: "", code: "open.form" },
    { text: command({ ...key, privateKey: generateKeyPairSync("ed25519").privateKey }), code: "open.signature" },
  ];
}

/** Bytes that the key did sign, but that no signer of ours would write. */
function signedBytes(key: CommandKey, payload: string): string {
  const text = jws({ alg: "Ed25519", kid: key.kid, typ: "reeve-command+jwt" }, {}, key.privateKey);
  const header = text.split(".")[0] ?? "";
  const body = `${header}.${Buffer.from(payload).toString("base64url")}`;
  return `${body}.${sign(null, Buffer.from(body), key.privateKey).toString("base64url")}`;
}

/** A refusal as long as the vendor can make it: every word that it may choose, at its full length. */
export function wordy(key: CommandKey): string {
  const long = "\u{1f4a3}".repeat(127);
  const values = Array.from({ length: 32 }, (_, at) => `10.99.${at}.1`);
  const args = {
    zone: "example.com",
    name: `${"a".repeat(60)}.brokers.example.com`,
    type: "A",
    change: "create",
    values,
    ttl: 60,
  };
  return command(key, { by: long, why: long, action: "update-dns", args });
}
