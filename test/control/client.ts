import "reflect-metadata";
import { createHash, createPrivateKey, type KeyObject, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import type { Entry } from "../../agent/audit/entry.ts";
import { signHandover } from "../../agent/audit/logKeys.ts";
import { checkpointText, ed25519Private, ed25519Public, signLogKeyBinding, signNote } from "../../agent/audit/note.ts";
import { emptyTree, grow, leafHash, rootOfTree } from "../../agent/audit/tree.ts";
import { canonical, type Json } from "../../agent/wire/canonical.ts";
import { logOrigin, spiffeId } from "../../agent/wire/names.ts";
import { initKey } from "../../control/keyFolder.ts";
import { openStore } from "../../control/openStore.ts";
import { type Serving, serve } from "../../control/serve.ts";
import { openSigner, type Signer } from "../../control/signer.ts";
import type { Store } from "../../control/store.ts";
import { makeToken } from "../../control/token.ts";
import { placeState } from "../fleet/engine.ts";

/** A small agent for tests: it speaks the protocol and nothing else. */
export const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
export const CLUSTER = "prod-eu-1";
export const ID = spiffeId("vendor.example", CLUSTER);
export type Answer = { readonly status: number; readonly body: Record<string, unknown> };

export type Key = { readonly pem: string; readonly key: KeyObject; readonly pair: CryptoKeyPair };
export async function makeKey(): Promise<Key> {
  const pair = (await crypto.subtle.generateKey(ECDSA, true, ["sign", "verify"])) as CryptoKeyPair;
  const pem = x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", pair.privateKey), "PRIVATE KEY");
  return { pem, key: createPrivateKey(pem), pair };
}

export async function makeCsr(
  key: Key,
  names: x509.JsonGeneralNames = [{ type: "url", value: ID }],
  more: x509.Extension[] = [],
): Promise<string> {
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    keys: key.pair,
    signingAlgorithm: ECDSA,
    extensions: [new x509.SubjectAlternativeNameExtension(names), ...more],
  });
  return Buffer.from(csr.rawData).toString("base64");
}

export function pemOf(der: string): string {
  return `-----BEGIN CERTIFICATE-----\n${der.replace(/(.{64})/g, "$1\n").trim()}\n-----END CERTIFICATE-----\n`;
}

export type World = {
  readonly dir: string;
  readonly keys: string;
  readonly serving: Serving;
  readonly rootPem: string;
  readonly signer: Signer;
  readonly store: Store;
  token(ttl?: number): Promise<string>;
  restart(): Promise<void>;
  end(): Promise<void>;
};

export async function startWorld(redeliverSeconds = 30): Promise<World> {
  const base = mkdtempSync(join(tmpdir(), "reeve-control-"));
  const dir = join(base, "control");
  const keys = join(base, "keys");
  await initKey(keys, "cmd-test");
  await placeState(dir);
  const signer = openSigner({ keys });
  if (signer === null) throw new Error("no signer");
  const start = (enrol: string, agents: string) =>
    serve({ dir, enrol, agents, trustDomain: undefined, bind: undefined, redeliverSeconds });
  let serving = await start("127.0.0.1:0", "127.0.0.1:0");
  const store = await openStore(dir);
  const rootPem = await Bun.file(join(dir, "ca", "root.pem")).text();
  return {
    dir,
    keys,
    get serving() {
      return serving;
    },
    rootPem,
    signer,
    store,
    token: async (ttl = 3600) => (await makeToken(dir, CLUSTER, ttl, signer)).token,
    async restart() {
      const { enrol, agents } = serving.ready;
      await serving.stop();
      serving = await start(enrol, agents);
    },
    async end() {
      await serving.stop();
      store.close();
      rmSync(base, { recursive: true });
    },
  };
}

type Tls = { readonly ca: string; readonly cert?: string; readonly key?: string };
/** Beyond what a poll may be held. */
const ANSWER_MS = 15_000;
function holdMs(body: unknown): number {
  return typeof body === "object" && body !== null && "hold" in body ? Number(body.hold) * 1000 : 0;
}
export async function call(address: string, path: string, body: unknown, tls: Tls): Promise<Answer> {
  const response = await fetch(`https://${address}${path}`, {
    ...(body === undefined ? {} : { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) }),
    tls: { ...tls, rejectUnauthorized: true },
    keepalive: false,
    signal: AbortSignal.timeout(ANSWER_MS + holdMs(body)),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

export async function enrolWith(world: World, token: string, key: Key): Promise<Answer> {
  return call(
    world.serving.ready.enrol,
    "/v1/enroll",
    { token, proof: null, nonce: null, csr: await makeCsr(key) },
    { ca: world.rootPem },
  );
}

export type Agent = {
  key: Key;
  chain: readonly string[];
  readonly epoch: number;
  readonly lines: string[];
  post(path: string, body: unknown): Promise<Answer>;
  append(body: Record<string, Json>): void;
  /** Begins a segment, with a key of its own. `change`: what its line says otherwise. Returns the key before. */
  rotate(change?: Record<string, Json>): KeyObject;
  /** Goes back to the log's first key. */
  restore(older: KeyObject): void;
  checkpoint(size?: number, key?: KeyObject): string;
  report(from: number, to?: number): Promise<Answer>;
  poll(more?: Record<string, unknown>): Promise<Answer>;
};

export async function enrolled(world: World, token?: string): Promise<Agent> {
  const key = await makeKey();
  const answer = await enrolWith(world, token ?? (await world.token()), key);
  if (answer.status !== 200) throw new Error(JSON.stringify(answer));
  return agentOf(world, key, answer.body["chain"] as string[], Number(answer.body["epoch"]));
}

export function agentOf(world: World, key: Key, chain: readonly string[], epoch: number): Agent {
  let logKey = ed25519Private(randomBytes(32));
  let logKeyFrom = 0;
  const origin = logOrigin(ID, epoch);
  const process = Bun.randomUUIDv7();
  const agent: Agent = {
    key,
    chain,
    epoch,
    lines: [],
    post: (path, body) =>
      call(world.serving.ready.agents, path, body, {
        ca: world.rootPem,
        cert: agent.chain.map(pemOf).join(""),
        key: agent.key.pem,
      }),
    append(body) {
      const index = agent.lines.length;
      agent.lines.push(canonical({ v: 1, index, time: "2026-11-24T09:14:07.412Z", cluster: CLUSTER, epoch, ...body }));
    },
    rotate(change = {}) {
      const [older, from, tree] = [logKey, agent.lines.length, emptyTree()];
      for (const line of agent.lines) grow(tree, leafHash(line));
      const before = { key: ed25519Public(older).toString("base64"), from: logKeyFrom };
      logKey = ed25519Private(randomBytes(32));
      logKeyFrom = from;
      const next = ed25519Public(logKey).toString("base64");
      agent.append({
        kind: "segment",
        origin,
        peaks: tree.peaks.map((peak) => peak.toString("base64")),
        key: next,
        chain: [...agent.chain],
        signature: signLogKeyBinding(origin, next, from, key.key),
        before,
        handed: signHandover({ origin, from, key: next, root: rootOfTree(tree) }, older),
        carry: `sha256:${"0".repeat(64)}`,
        ...change,
      });
      return older;
    },
    restore(older) {
      logKey = older;
      logKeyFrom = 0;
    },
    checkpoint(size = agent.lines.length, by = logKey) {
      const tree = emptyTree();
      for (const line of agent.lines.slice(0, size)) grow(tree, leafHash(line));
      return signNote(checkpointText({ origin, size, root: rootOfTree(tree), time: 1_795_000_000_000 }), origin, by);
    },
    report: (from, to = agent.lines.length) =>
      agent.post("/v1/reports", {
        from,
        entries: agent.lines.slice(from, to),
        checkpoint: agent.checkpoint(),
        proofs: null,
      }),
    poll: (more = {}) =>
      agent.post("/v1/commands", {
        process,
        epoch,
        checkpoint: agent.checkpoint(),
        trust_version: 1,
        version: "0.1.0",
        state: "ready",
        reason: "",
        take: 8,
        hold: 0,
        ...more,
      }),
  };
  const public32 = ed25519Public(logKey).toString("base64");
  agent.append({
    kind: "epoch",
    origin,
    log_keys: [{ key: public32, from: 0 }],
    chain: [...chain],
    signature: signLogKeyBinding(origin, public32, 0, key.key),
    before: null,
    config: `sha256:${"0".repeat(64)}`,
  });
  return agent;
}

/** What the road would write about a command. */
export function asking(jws: string): Record<string, Json> {
  const claims = JSON.parse(Buffer.from(jws.split(".")[1] ?? "", "base64url").toString());
  return {
    action: claims.action,
    asked: claims.args,
    by: { key: "cmd-test", says: { operator: claims.by, why: claims.why } },
    command: claims.jti,
    digest: `sha256:${createHash("sha256").update(jws).digest("hex")}`,
    exp: claims.exp,
  };
}

export function intent(jws: string): Record<string, Json> {
  return {
    ...asking(jws),
    kind: "intent",
    allowed: { policy: `sha256:${"1".repeat(64)}`, rule: "r" },
    found: { count: 1 },
    resource: "group:g",
    signed: jws,
    csr: null,
  };
}

export function outcome(
  jws: string,
  at: number,
  result: Extract<Entry, { kind: "outcome" }>["result"],
): Record<string, Json> {
  return {
    kind: "outcome",
    command: asking(jws)["command"] ?? "",
    intent: at,
    result,
    code: null,
    known_by: "answer",
    changed: [],
    operations: [],
    certificate: null,
    details: null,
  };
}

export function refused(jws: string, code: string): Record<string, Json> {
  return {
    ...asking(jws),
    kind: "refused",
    code,
    because: "the customer's rule r allows at most 9",
    hint: "Ask for 9 or fewer",
    rule: "r",
    field: "count",
    found: "7",
    limit: "count: { min: 3, max: 9 }",
    policy: null,
    first: null,
  };
}
