/** A command whose manifest the ending process did not wait for: neither refused nor used up. */
import { expect, test } from "bun:test";
import { generateKeyPairSync, sign } from "node:crypto";
import type { Obtained } from "../../agent/artifacts/source.ts";
import type { EntryBody } from "../../agent/audit/entry.ts";
import { execute } from "../../agent/execute.ts";
import type { Road } from "../../agent/road.ts";
import { canonical, type Json } from "../../agent/wire/canonical.ts";
import { parsePolicy } from "../../policy/parse.ts";
import { SIGNERS } from "../policy/deploy-world.ts";

const NOW = 1_800_000_000;
const AGENT = "spiffe://vendor.example/cluster/prod-eu-1/agent";
const POLICY = {
  version: 1,
  revision: 1,
  cluster: "prod-eu-1",
  vendor: "vendor.example",
  place: { cloud: "local" },
  people: {},
  signers: { release: SIGNERS[0] },
  share: [],
  dry_run: "allowed",
  rules: [
    {
      id: "web-releases",
      why: "New releases.",
      allow: "deploy",
      group: "web",
      signers: { by: ["release"], need: 1 },
      version: { min: "1.0.0", max: "1.9.9" },
      unavailable: 1,
      rate: "10 per day",
      when: "always",
      approval: "none",
    },
  ],
  tests: [],
};
const CLAIMS = {
  iss: "vendor.example",
  aud: AGENT,
  jti: "01a3185c-5000-7000-8000-000000000001",
  iat: NOW - 10,
  exp: NOW + 600,
  epoch: 1,
  by: "maria",
  why: "a release",
  dry_run: false,
  action: "deploy",
  args: { group: "web", manifest: `sha256:${"5".repeat(64)}` },
};

/** What is written of a deploy whose manifest does not come; `stops`: the process is told to end while it is waited for. */
async function written(stops: boolean): Promise<EntryBody[]> {
  const parsed = parsePolicy(Buffer.from(JSON.stringify(POLICY)));
  if ("errors" in parsed) throw new Error(JSON.stringify(parsed.errors));
  const { policy } = parsed;
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const x = String(publicKey.export({ format: "jwk" }).x);
  const part = (text: string): string => Buffer.from(text).toString("base64url");
  const head = part('{"alg":"Ed25519","kid":"cmd-1","typ":"reeve-command+jwt"}');
  const input = `${head}.${part(canonical(CLAIMS as unknown as Json))}`;
  const text = `${input}.${sign(null, Buffer.from(input), privateKey).toString("base64url")}`;
  const bodies: EntryBody[] = [];
  const stop = new AbortController();
  const manifests = (_hex: string, signal: AbortSignal): Promise<Obtained> => {
    if (stops) stop.abort();
    expect(signal.aborted).toBe(stops);
    return Promise.resolve({ away: "nobody answered" });
  };
  const road = {
    host: { clock: { now: () => NOW * 1000, monotonic: () => 0 } },
    config: { state: "/state", provider: "local", local: {} },
    provider: { name: "local", deploy: { operations: [], places: () => [] }, ownGroups: [] },
    log: {
      memory: { ids: new Map(), waiting: new Map(), open: new Map(), newest: 0 },
      append: (more: readonly EntryBody[]) => bodies.push(...more),
    },
    trustDomain: "vendor.example",
    agentId: AGENT,
    cluster: "prod-eu-1",
    epoch: 1,
    enrolledAt: NOW - 1000,
    commandKeys: () => new Map([["cmd-1", x]]),
    owner: { refresh: () => Promise.resolve() },
    readPolicy: () => ({ policy, digest: `sha256:${"a".repeat(64)}` }),
    history: () => ({ intents: new Map(), since: null, revision: 1 }),
    suspended: () => null,
    clockAgrees: () => true,
    stopping: () => stop.signal.aborted,
    stop: stop.signal,
    manifests,
    appended: () => undefined,
  } as unknown as Road;
  await execute(text, road, null);
  return bodies;
}

test("a manifest that does not come is refused, and its command is used up", async () => {
  expect(await written(false)).toMatchObject([{ kind: "refused", code: "artifact.missing", command: CLAIMS.jti }]);
});

test("told to end while the manifest is waited for, nothing is written: the command is not used up", async () => {
  expect(await written(true)).toEqual([]);
});
