import "reflect-metadata";
import { createPrivateKey, webcrypto } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { EntryBody } from "../../agent/audit/entry.ts";
import { type Log, type LogIdentity, openLog } from "../../agent/audit/log.ts";
import type { LogKeys } from "../../agent/audit/logKeys.ts";
import { logKeyBinding, signBinding } from "../../agent/audit/note.ts";
import type { Host } from "../../agent/host/host.ts";
import { realDisk, realHost } from "../../agent/host/real.ts";
import { logKeysOf, newLogKeyPem } from "../../agent/identity/keys.ts";

/** An agent's log as tests open it: a CA, a certificate, a log key, a folder. */
export const AGENT = "spiffe://vendor.example/cluster/prod-eu-1/agent";
const P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
export const DIGEST = `sha256:${"ab".repeat(32)}`;
const DAY = 24 * 3600 * 1000;

export type Authority = { readonly keys: CryptoKeyPair; readonly certificate: X509Certificate };

/** A root CA. */
export async function authority(name: string, notBefore = new Date(Date.now() - DAY)): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(P256, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    keys,
    name: `CN=${name}`,
    signingAlgorithm: P256,
    notBefore,
    notAfter: new Date(Date.now() + 100 * DAY),
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  });
  return { keys, certificate };
}

type LeafWish = { readonly name?: string; readonly notBefore?: Date; readonly notAfter?: Date; readonly caFrom?: Date };

async function leaf(ca: Authority, wish: LeafWish): Promise<{ certificate: X509Certificate; pkcs8: Buffer }> {
  const keys = await webcrypto.subtle.generateKey(P256, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.create({
    publicKey: keys.publicKey,
    signingKey: ca.keys.privateKey,
    issuer: ca.certificate.subject,
    subject: "",
    signingAlgorithm: P256,
    notBefore: wish.notBefore ?? new Date(Date.now() - 3600_000),
    notAfter: wish.notAfter ?? new Date(Date.now() + DAY),
    extensions: [new SubjectAlternativeNameExtension([{ type: "url", value: wish.name ?? AGENT }])],
  });
  return { certificate, pkcs8: Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)) };
}

export type World = {
  readonly folder: string;
  readonly ca: Authority;
  readonly caPem: string;
  readonly as: LogIdentity;
  /** The key that the log begins with, 32 bytes in base64. */
  readonly firstKey: string;
  open(host?: Host, more?: Partial<LogIdentity>): Log;
};

export function scratch(): string {
  return mkdtempSync(join(tmpdir(), "reeve-audit-"));
}

/** What another process needs to open the same log, beside its folder. */
type Saved = {
  readonly origin: string;
  readonly epoch: number;
  readonly chain: readonly string[];
  readonly certificateKey: string;
  readonly segmentBytes: number;
};

const beside = (folder: string, name: string): string => join(dirname(folder), name);

/** The log's keys in a file beside its folder, as the identity keeps them. */
function keysBeside(folder: string): LogKeys {
  const path = beside(folder, "keys.json");
  return logKeysOf({
    stored: () => JSON.parse(readFileSync(path, "utf8")),
    save: (keys) => realDisk.replace(path, Buffer.from(JSON.stringify(keys)), 0o600),
  });
}

/** The identity of a log that `world` made, here or in another process. */
export function savedIdentity(folder: string): LogIdentity {
  const { origin, epoch, chain, certificateKey, segmentBytes } = JSON.parse(
    readFileSync(beside(folder, "as.json"), "utf8"),
  ) as Saved;
  const keys = keysBeside(folder);
  const vouch = (binding: Uint8Array) => ({ chain, signature: signBinding(binding, createPrivateKey(certificateKey)) });
  const { signature } = vouch(logKeyBinding(origin, keys.current, 0));
  const key = keys.current;
  return {
    origin,
    cluster: "prod-eu-1",
    epoch,
    keys,
    vouch,
    segmentBytes,
    segmentAgeMs: 7 * DAY,
    retentionMs: 400 * DAY,
    since: null,
    first: () => ({
      kind: "epoch",
      origin,
      log_keys: [{ key, from: 0 }],
      chain: [...chain],
      signature,
      before: null,
      config: DIGEST,
    }),
  };
}

export async function world(
  more: Partial<LogIdentity> = {},
  wish: LeafWish = {},
  by: Authority | null = null,
): Promise<World> {
  const ca = by ?? (await authority("vendor.example root", wish.caFrom));
  const { certificate, pkcs8 } = await leaf(ca, wish);
  const epoch = more.epoch ?? 1;
  const folder = join(scratch(), "audit");
  const saved: Saved = {
    origin: `${AGENT}/epoch/${epoch}`,
    epoch,
    chain: [certificate, ca.certificate].map((one) => Buffer.from(one.rawData).toString("base64")),
    certificateKey: createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })
      .export({ format: "pem", type: "pkcs8" })
      .toString(),
    segmentBytes: more.segmentBytes ?? 1 << 20,
  };
  writeFileSync(beside(folder, "as.json"), JSON.stringify(saved));
  writeFileSync(beside(folder, "keys.json"), JSON.stringify({ log_key: newLogKeyPem(), next_log_key: null }));
  const as = { ...savedIdentity(folder), ...more };
  return {
    folder,
    ca,
    caPem: ca.certificate.toString("pem"),
    as,
    firstKey: as.keys.current,
    open: (host = realHost(), other = {}) => openLog(host, folder, { ...as, ...other }),
  };
}

/** Seconds since 1970, an hour from now. */
export const soon = (): number => Math.floor(Date.now() / 1000) + 3600;

function asking(command: string) {
  return {
    action: "scale" as const,
    asked: { group: "brokers", count: 4 },
    by: { key: "cmd-1", says: { operator: "maria", why: "INC-1" } },
    command,
    digest: DIGEST,
    exp: soon(),
  };
}

export function intent(command: string): EntryBody {
  const allowed = { policy: DIGEST, rule: "brokers-grow" };
  return {
    ...asking(command),
    kind: "intent",
    allowed,
    found: { count: 3 },
    resource: "group:brokers",
    signed: "a.b.c",
    csr: null,
  };
}

export function outcome(command: string, of: number): EntryBody {
  return {
    kind: "outcome",
    command,
    intent: of,
    result: "succeeded",
    code: null,
    known_by: "answer",
    changed: [{ what: "count", from: "3", to: "4" }],
    operations: [],
    certificate: null,
    details: null,
  };
}

export function refused(command: string): EntryBody {
  return {
    ...asking(command),
    kind: "refused",
    code: "policy.count.above-max",
    because: "the rule allows at most 9",
    hint: "Ask for 9.",
    rule: "brokers-grow",
    field: "count.max",
    found: "3",
    limit: "9",
    policy: DIGEST,
    first: null,
  };
}

export const started: EntryBody = {
  kind: "started",
  version: "0.1.0",
  process: "01932a2f-0000-7000-8000-000000000000",
  runtime: "bun",
};

/** A small log with each kind of thing in it, closed: 8 entries. */
export function fill(log: Log): void {
  log.append([started]);
  const [one, two] = [Bun.randomUUIDv7(), Bun.randomUUIDv7()];
  log.append([
    { kind: "switch", on: true, why: "" },
    { kind: "policy", policy: DIGEST, revision: 7, code: null },
  ]);
  const at = log.size;
  log.append([intent(one)]);
  log.append([refused(two)]);
  log.append([outcome(one, at)]);
  log.append([{ kind: "stopped", why: "told to" }]);
  log.close();
}
