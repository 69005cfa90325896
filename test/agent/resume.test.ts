/** A deploy that was interrupted is gone on with as one is begun: by what others, the owner and the clock say then, and only as long as its rule stands. */
import { expect, test } from "bun:test";
import type { Entry, EntryBody } from "../../agent/audit/entry.ts";
import { ed25519Private, ed25519Public, signNote, verifierKey } from "../../agent/audit/note.ts";
import { INTENT_HEARD_SECONDS } from "../../agent/limits.ts";
import { recover } from "../../agent/recover.ts";
import type { Road } from "../../agent/road.ts";
import { canonical, type Json } from "../../agent/wire/canonical.ts";
import { digestOf } from "../../agent/wire/envelope.ts";
import { type Manifest, manifestText } from "../../agent/wire/manifest.ts";
import { parsePolicy } from "../../policy/parse.ts";
import { type Errand, type Executed, type Gate, Halted } from "../../providers/provider.ts";

/** A Friday, 16:00 UTC. */
const NOW = Date.UTC(2026, 10, 27, 16) / 1000;
const SIGNER = "vendor.example/release";
const KEY = ed25519Private(Buffer.alloc(32, 7));
const [ALICE, OTHER] = [
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINtZ4O9PuEUN83PrKXXZbb8LYwVQohR4fjGuYLVh0jnI",
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHqFHRDbKQ9JIihr5L9esibQDHdYvgyWhx+g0Qa7cot6",
];
const IMAGE = `sha256:${"a".repeat(64)}`;
const MANIFEST: Manifest = {
  content: { agent: null, images: [{ name: "app", digest: IMAGE, packages: [] }], version: "1.2.3" },
  parameters: {
    cluster: "prod-eu-1",
    place: { cloud: "local", account: "", region: "" },
    images: { app: IMAGE },
    groups: { web: { image: "app", count: 2 } },
    zones: [],
    authorities: [],
    names: [],
    policy: null,
  },
  says: "a release",
  type: "reeve-manifest",
  v: 1,
};
const TEXT = manifestText(MANIFEST);
const APPROVAL = { by: ["alice"], need: 1, within: "2h" };
const RULE = {
  id: "web-releases",
  why: "New releases.",
  allow: "deploy",
  group: "web",
  signers: { by: ["release"], need: 1 },
  version: { min: "1.0.0", max: "1.9.9" },
  unavailable: 1,
  rate: "1 per day",
  when: "Mon-Fri 08:00-17:00 UTC",
  approval: "none",
};

function policyOf(rules: readonly object[], alice = ALICE) {
  const parsed = parsePolicy(
    Buffer.from(
      JSON.stringify({
        ...{ version: 1, revision: 1, cluster: "prod-eu-1", vendor: "vendor.example", place: { cloud: "local" } },
        ...{ people: { alice }, signers: { release: verifierKey(SIGNER, ed25519Public(KEY)) } },
        ...{ share: [], dry_run: "allowed", rules, tests: [] },
      }),
    ),
  );
  if ("errors" in parsed) throw new Error(JSON.stringify(parsed.errors));
  return parsed.policy;
}

const COMMAND = `${(NOW * 1000)
  .toString(16)
  .padStart(12, "0")
  .replace(/^(.{8})/, "$1-")}-7000-8000-000000000001`;
const claims = {
  ...{ iss: "vendor.example", aud: "spiffe://vendor.example/cluster/prod-eu-1/agent", jti: COMMAND },
  ...{ iat: NOW - 60, exp: NOW + 7200, epoch: 1, by: "maria", why: "a release", dry_run: false },
  ...{ action: "deploy", args: { group: "web", manifest: digestOf(TEXT.trimEnd()) } },
};
const common = { v: 1, cluster: "prod-eu-1", epoch: 1, time: "2026-11-27T15:59:10.000Z" };
const approval = {
  ...common,
  ...{ index: 2, kind: "approval", approves: COMMAND, code: null, digest: `sha256:${"d".repeat(64)}` },
  ...{ key: ALICE, person: "alice", signature: "AAAA" },
};
const intent = {
  ...common,
  ...{ index: 3, kind: "intent", command: COMMAND, resource: "group:web", csr: null, by: { key: "cmd-1" } },
  allowed: { policy: `sha256:${"a".repeat(64)}`, rule: RULE.id },
  found: { count: 2, healthy: 2, image: `sha256:${"b".repeat(64)}`, to: IMAGE, digest: IMAGE },
  signed: `x.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`,
};

type World = {
  now: number;
  policy: ReturnType<typeof policyOf>;
  clockAgrees: boolean;
  /** The line of the log that holds alice's approval; null: it was moved away. */
  approval: string | null;
};
type Around = Partial<World> & {
  readonly approved?: boolean;
  /** Whether the required witness has cosigned what is on record, each time that is waited for; the last goes on. */
  readonly cosigned?: readonly boolean[];
  /** What is the case once the witness has. */
  readonly meanwhile?: Partial<World>;
  /** What is the case once one change was made. */
  readonly halfway?: Partial<World>;
};

/** What came, in order, and the outcome. The deploy makes two changes. */
async function resumed(around: Around) {
  const { approved = false, cosigned = [true], meanwhile = {}, halfway = {}, ...first } = around;
  const line = canonical(approval as unknown as Json);
  const world: World = { now: NOW, policy: policyOf([RULE]), clockAgrees: true, approval: line, ...first };
  const came: string[] = [];
  const written: EntryBody[] = [];
  const stop = new AbortController().signal;
  const began = world.now;
  let waits = 0;
  const sleep = (milliseconds: number, signal: AbortSignal): Promise<void> => {
    if (signal === stop) {
      world.now += milliseconds / 1000;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      signal.addEventListener("abort", () => resolve());
      if (milliseconds !== INTENT_HEARD_SECONDS * 1000) return;
      setTimeout(() => {
        if (!signal.aborted) world.now += INTENT_HEARD_SECONDS;
        resolve();
      });
    });
  };
  const place = { host: "here", region: "", method: "POST" };
  const nothing = { changed: [], certificate: null, words: null };
  const deploy = {
    operations: [{ operation: "replace", kind: "change", method: "POST" }],
    places: () => [place],
    async resume(gate: Gate, _args: unknown, _found: unknown, { unavailable }: Errand): Promise<Executed> {
      came.push(`resume, ${unavailable} at once`);
      try {
        for (const one of ["first", "second"]) {
          await gate.call("replace", "web", async (leave) => {
            leave(place, "writing");
            came.push(one);
            return { value: null, request: null };
          });
          Object.assign(world, halfway);
        }
      } catch (error) {
        if (!(error instanceof Halted)) throw error;
        return { ...nothing, result: "failed", code: error.why };
      }
      return { ...nothing, result: "succeeded", code: null };
    },
    async reconcile() {
      came.push("reconcile");
      return { ...nothing, result: "failed", code: "interrupted", known_by: "state" };
    },
  };
  const road = {
    host: { clock: { now: () => world.now * 1000, monotonic: () => (world.now - began) * 1000, sleep } },
    config: { state: "/state", provider: "local", local: {} },
    provider: { name: "local", deploy, ownGroups: [] },
    cluster: "prod-eu-1",
    commandKeys: () => new Map([["cmd-1", "x"]]),
    owner: { refresh: () => Promise.resolve() },
    log: {
      size: 5,
      memory: { newest: 0 },
      append: (bodies: readonly EntryBody[]) => written.push(...bodies),
      lines(from: number, max: number) {
        expect([from, max]).toEqual([approval.index, 1]);
        return world.approval === null ? [] : [world.approval];
      },
    },
    manifests: async () => ({ note: signNote(TEXT, SIGNER, KEY) }),
    async cleared() {
      if (!(cosigned[Math.min(waits++, cosigned.length - 1)] ?? true)) await new Promise(() => undefined);
      came.push("cosigned");
      Object.assign(world, meanwhile);
    },
    head: { put: async () => null },
    async heard(index: number) {
      expect(index).toBe(4);
      came.push("heard");
      return null;
    },
    readPolicy: () => ({ policy: world.policy, digest: `sha256:${"a".repeat(64)}` }),
    history: () => ({ intents: new Map([[RULE.id, [NOW * 1000]]]), since: null, revision: 1 }),
    suspended: () => null,
    clockAgrees: () => world.clockAgrees,
    stopping: () => false,
    halted: () => false,
    stop,
    appended: () => undefined,
  } as unknown as Road;
  const by = approved ? { approved: [{ entry: approval.index, person: "alice" }] } : {};
  await recover({ ...intent, ...by } as unknown as Extract<Entry, { kind: "intent" }>, road, stop);
  expect(written).toMatchObject([{ kind: "outcome", command: COMMAND, intent: 3, known_by: "state" }]);
  const [outcome] = written;
  return [...came, outcome?.kind === "outcome" ? (outcome.code ?? outcome.result) : ""];
}

const BEFORE = ["cosigned", "heard", "resume, 1 at once"];
const GONE_ON = [...BEFORE, "first", "second", "succeeded"];
const LEFT = ["reconcile", "interrupted"];

test("what its rule permits yet is gone on with once the required witness and the control plane have seen the log", async () => {
  expect(await resumed({})).toEqual(GONE_ON);
  expect(await resumed({ cosigned: [false, false, true] })).toEqual(GONE_ON);
});

test("a required witness that stays away for an hour: nothing is changed, and the outcome says what is the case", async () => {
  expect(await resumed({ cosigned: [false] })).toEqual(LEFT);
});

test("while the clocks disagree nothing is gone on with", async () => {
  expect(await resumed({ clockAgrees: false })).toEqual(LEFT);
  expect(await resumed({ meanwhile: { clockAgrees: false } })).toEqual(["cosigned", "heard", ...LEFT]);
});

test("what is taken out of the policy while others are waited for is not gone on with", async () => {
  for (const policy of [policyOf([]), policyOf([{ ...RULE, version: { min: "1.5.0", max: "1.9.9" } }])])
    expect(await resumed({ meanwhile: { policy } })).toEqual(["cosigned", "heard", ...LEFT]);
});

test("a rule that is taken out while machines are replaced stops it before the next change", async () => {
  for (const policy of [
    policyOf([]),
    policyOf([{ ...RULE, id: "another" }]),
    policyOf([{ ...RULE, version: { min: "1.5.0", max: "1.9.9" } }]),
    policyOf([{ ...RULE, approval: APPROVAL }]),
  ])
    expect(await resumed({ halfway: { policy } })).toEqual([...BEFORE, "first", "no-longer-permitted"]);
});

test("what has begun outlasts its window and its command's time", async () => {
  expect(await resumed({ halfway: { now: NOW + 3 * 3600 } })).toEqual(GONE_ON);
});

test("an approval counts as long as the policy gives that person the key by which it was signed", async () => {
  const policy = policyOf([{ ...RULE, approval: APPROVAL }]);
  expect(await resumed({ approved: true, policy })).toEqual(GONE_ON);
  const replaced = policyOf([{ ...RULE, approval: APPROVAL }], OTHER);
  expect(await resumed({ approved: true, policy: replaced })).toEqual(["cosigned", "heard", ...LEFT]);
  expect(await resumed({ approved: true, policy, halfway: { policy: replaced } })).toEqual([
    ...BEFORE,
    "first",
    "no-longer-permitted",
  ]);
});

test("an approval whose entry was moved away, or is another's, does not count", async () => {
  const policy = policyOf([{ ...RULE, approval: APPROVAL }]);
  const other = canonical({ ...approval, person: "bob" } as unknown as Json);
  for (const line of [null, other, "{}"])
    expect(await resumed({ approved: true, policy, approval: line })).toEqual(["cosigned", "heard", ...LEFT]);
});
