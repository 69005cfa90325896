/** Others say how long it takes until they have seen an intent. What the owner, the clock and the vendor's keys say by then counts, and not what they said before. */
import { expect, test } from "bun:test";
import { generateKeyPairSync, sign } from "node:crypto";
import type { Entry, EntryBody } from "../../agent/audit/entry.ts";
import { emptyMemory, fold } from "../../agent/audit/memory.ts";
import { timeText } from "../../agent/audit/time.ts";
import { execute } from "../../agent/execute.ts";
import { COMMAND_DEADLINE_SECONDS } from "../../agent/limits.ts";
import type { Road } from "../../agent/road.ts";
import { canonical, type Json } from "../../agent/wire/canonical.ts";
import { parsePolicy } from "../../policy/parse.ts";
import { refuse } from "../../policy/refusal.ts";
import type { Errand, Gate } from "../../providers/provider.ts";

/** A Friday, 16:59:30 UTC. */
const NOW = Date.UTC(2026, 10, 27, 16, 59, 30) / 1000;
const AGENT = "spiffe://vendor.example/cluster/prod-eu-1/agent";
const RULE = {
  id: "brokers-grow",
  why: "More load.",
  allow: "scale",
  group: "brokers",
  count: { min: 1, max: 9 },
  change: { up: 3, down: 0 },
  rate: "1 per day",
  when: "Mon-Fri 08:00-17:00 UTC",
  approval: "none",
};
const POLICY = {
  version: 1,
  revision: 1,
  cluster: "prod-eu-1",
  vendor: "vendor.example",
  place: { cloud: "local" },
  people: {},
  signers: {},
  share: [],
  dry_run: "allowed",
  rules: [RULE],
  tests: [],
};
const CLAIMS = {
  iss: "vendor.example",
  aud: AGENT,
  jti: `${(NOW * 1000)
    .toString(16)
    .padStart(12, "0")
    .replace(/^(.{8})/, "$1-")}-7000-8000-000000000001`,
  iat: NOW,
  exp: NOW + 40,
  epoch: 1,
  by: "maria",
  why: "load",
  dry_run: false,
  action: "scale",
  args: { group: "brokers", count: 4 },
};

function policyOf(rules: readonly object[], more: object = {}) {
  const parsed = parsePolicy(Buffer.from(JSON.stringify({ ...POLICY, revision: 2, rules, ...more })));
  if ("errors" in parsed) throw new Error(JSON.stringify(parsed.errors));
  return parsed.policy;
}

/** What stands around the command, each part of which may be another once others have seen the intent. */
type World = {
  now: number;
  policy: ReturnType<typeof policyOf> | null;
  keys: ReadonlyMap<string, string>;
  suspended: string | null;
  clockAgrees: boolean;
  /** What reading the owner's bucket will find. */
  bucket: Partial<World>;
};

/** `meanwhile`: what is the case once the control plane holds the intent. */
async function carried(meanwhile: Partial<World>, claims: object = {}) {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const x = String(publicKey.export({ format: "jwk" }).x);
  const part = (text: string): string => Buffer.from(text).toString("base64url");
  const head = part('{"alg":"Ed25519","kid":"cmd-1","typ":"reeve-command+jwt"}');
  const input = `${head}.${part(canonical({ ...CLAIMS, ...claims } as unknown as Json))}`;
  const text = `${input}.${sign(null, Buffer.from(input), privateKey).toString("base64url")}`;
  const world: World = {
    now: NOW,
    policy: policyOf([RULE]),
    keys: new Map([["cmd-1", x]]),
    suspended: null,
    clockAgrees: true,
    bucket: {},
  };
  const written: Entry[] = [];
  const memory = emptyMemory(null);
  let executed = 0;
  let words = "";
  const unreadable = refuse("policy.unreadable", "scale", "it cannot be read", "Put it back.");
  const road = {
    host: {
      clock: {
        now: () => world.now * 1000,
        monotonic: () => world.now * 1000,
        sleep(milliseconds: number, signal: AbortSignal) {
          expect(milliseconds).toBe(COMMAND_DEADLINE_SECONDS * 1000);
          return new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        },
      },
      disk: {
        makeDirectory: () => undefined,
        replace(_path: string, bytes: Uint8Array) {
          words = Buffer.from(bytes.subarray(16)).toString();
        },
      },
      random: { bytes: () => new Uint8Array(16) },
    },
    config: { state: "/state", provider: "local", local: {} },
    provider: {
      name: "local",
      ownGroups: [],
      scale: {
        operations: [],
        places: () => [],
        describe: () => Promise.resolve({ state: { count: 3 } }),
        execute(_gate: Gate, _args: unknown, _state: unknown, _errand: Errand) {
          executed++;
          return Promise.resolve({ result: "succeeded", code: null, changed: [], certificate: null, words: null });
        },
      },
    },
    log: {
      memory,
      roomy: true,
      get size() {
        return written.length;
      },
      append(bodies: readonly EntryBody[]) {
        for (const body of bodies) {
          const at = { v: 1, index: written.length, cluster: "prod-eu-1", epoch: 1, time: timeText(world.now * 1000) };
          const entry = { ...body, ...at } as Entry;
          written.push(entry);
          fold(memory, entry);
        }
      },
    },
    trustDomain: "vendor.example",
    agentId: AGENT,
    cluster: "prod-eu-1",
    epoch: 1,
    enrolledAt: NOW - 1000,
    commandKeys: () => world.keys,
    owner: {
      refresh() {
        Object.assign(world, world.bucket);
        return Promise.resolve();
      },
    },
    readPolicy: () =>
      world.policy === null
        ? { refusal: unreadable, digest: null }
        : { policy: world.policy, digest: `sha256:${"a".repeat(64)}` },
    history: () => memory.history,
    suspended: () => world.suspended,
    clockAgrees: () => world.clockAgrees,
    stopping: () => false,
    halted: () => false,
    stop: new AbortController().signal,
    cancelled: new Set(),
    head: { put: () => Promise.resolve(null) },
    heard() {
      expect(written.at(-1)?.kind).toBe("intent");
      Object.assign(world, meanwhile);
      return Promise.resolve(null);
    },
    appended: () => undefined,
  } as unknown as Road;
  await execute(text, road, null);
  const outcome = written.at(-1);
  if (outcome?.kind !== "outcome") throw new Error(`it ended with ${JSON.stringify(outcome)}`);
  const { result, code, operations } = outcome;
  return { ...{ executed, words, operations: operations.length }, came: code ?? result };
}

const refused = (code: string, words: string) => ({
  ...{ executed: 0, operations: 0, came: code },
  words: expect.stringContaining(words) as string,
});

test("what is permitted yet when others have seen its intent is carried out, and its own intent does not use up its rate", async () => {
  const done = { executed: 1, operations: 0, came: "succeeded", words: "" };
  expect(await carried({})).toEqual(done);
  expect(await carried({ now: NOW + 29 })).toEqual(done);
});

const ALICE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
const asks = { approval: { by: ["alice"], need: 1, within: "1h" } };
const rules = (...of: readonly object[]) => ({ policy: policyOf(of) });
/** What happens, and what of it is kept in `details/`. */
const cases: readonly (readonly [string, Partial<World>, string, object?])[] = [
  ["the rule's window closes", { now: NOW + 30 }, "is for Mon-Fri 08:00-17:00"],
  ["the command expires", { now: NOW + 20 }, "it expired meanwhile", { exp: NOW + 20 }],
  ["the owner takes the rule out", rules(), "no rule"],
  ["the owner lets the rule permit less", rules({ ...RULE, change: { up: 0, down: 0 } }), "adds at most 0 machines"],
  ["another rule takes its place", rules({ ...RULE, id: "brokers-grow-more" }), "does not permit it any more"],
  [
    "the owner has people asked",
    { policy: policyOf([{ ...RULE, ...asks }], { people: { alice: ALICE } }) },
    "asks for people who did not approve",
  ],
  ["the policy cannot be read", { policy: null }, "it cannot be read"],
  ["an older policy is put back", { policy: policyOf([RULE], { revision: 1 }) }, "revision 1"],
  ["the trust statement drops its key", { keys: new Map() }, "dropped its key"],
  ["the clock jumps", { clockAgrees: false }, "clock jumped"],
  ["the owner's bucket, read anew, has no such rule", { bucket: rules() }, "no rule"],
];
for (const [what, meanwhile, words, claims] of cases) {
  test(`until others have seen the intent ${what}: nothing is called, and the outcome says that it is no longer permitted`, async () => {
    expect(await carried(meanwhile, claims)).toEqual(refused("no-longer-permitted", words));
  });
}

test("until others have seen the intent the owner suspends: nothing is called, and the outcome says so", async () => {
  expect(await carried({ suspended: "maintenance" })).toEqual(refused("suspended", "maintenance"));
});
