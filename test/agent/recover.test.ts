/** What an interrupted execution left is taken away under the same conditions as any change: a required witness, the bucket and the control plane know, and the policy is no older one. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { EntryBody } from "../../agent/audit/entry.ts";
import { COMMAND_DEADLINE_SECONDS, INTENT_HEARD_SECONDS } from "../../agent/limits.ts";
import { recover } from "../../agent/recover.ts";
import type { Road } from "../../agent/road.ts";
import { parsePolicy } from "../../policy/parse.ts";

const parsed = parsePolicy(readFileSync(new URL("../policy/example.yaml", import.meta.url)));
if ("errors" in parsed) throw new Error(JSON.stringify(parsed.errors));
const { policy } = parsed;

const COMMAND = "01936d00-0000-7000-8000-000000000001";
const claims = {
  iss: policy.vendor,
  aud: "spiffe://vendor.example/agent",
  jti: COMMAND,
  iat: 1,
  exp: 2,
  epoch: 1,
  by: "operator",
  why: "test",
  dry_run: false,
  action: "scale",
  args: { group: "prod-eu-1-brokers", count: 4 },
};
const intent = {
  kind: "intent",
  index: 3,
  command: COMMAND,
  resource: "group:prod-eu-1-brokers",
  found: { count: 3 },
  csr: null,
  signed: `x.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`,
} as unknown as Parameters<typeof recover>[0];

type Around = {
  /** Whether the required witness has cosigned what is on record, each time that is waited for; the last goes on. */
  readonly cosigned?: readonly boolean[];
  /** What the owner does while the control plane is waited for. */
  readonly meanwhile?: "takes the rule out" | "suspends";
};
/** `heads`: what putting the head says, in turn; the last goes on. `revision`: the highest that the log has seen. */
async function recovered(heads: readonly (string | null)[], revision: number, around: Around = {}) {
  const came: string[] = [];
  let highest = revision;
  const written: EntryBody[] = [];
  let mono = 0;
  let puts = 0;
  let waits = 0;
  let before = true;
  const stop = new AbortController().signal;
  const { cosigned = [true], meanwhile } = around;
  const sleep = (milliseconds: number, signal: AbortSignal): Promise<void> => {
    // A command's deadline does not come here; that of waiting for others comes once nothing else goes on.
    if (signal !== stop)
      return new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve());
        if (milliseconds === COMMAND_DEADLINE_SECONDS * 1000) return;
        expect(milliseconds).toBe(INTENT_HEARD_SECONDS * 1000);
        setTimeout(() => {
          if (!signal.aborted) mono += milliseconds;
          resolve();
        });
      });
    mono += milliseconds;
    return Promise.resolve();
  };
  const scale = {
    operations: [],
    places: () => [],
    clear: async () => void came.push("clear"),
    reconcile: async () => {
      came.push("reconcile");
      return { result: "failed", code: "not-done", known_by: "state", changed: [], certificate: null, words: null };
    },
  };
  const road = {
    host: { clock: { now: () => mono, monotonic: () => mono, sleep } },
    config: { state: "/state", provider: "local", local: {} },
    provider: { name: "local", scale, ownGroups: [] },
    cluster: policy.cluster,
    owner: { refresh: () => Promise.resolve() },
    log: {
      append(bodies: readonly EntryBody[]) {
        written.push(...bodies);
        for (const body of bodies) {
          if (body.kind !== "policy") continue;
          highest = Math.max(highest, body.revision ?? 0);
          came.push("policy");
        }
      },
    },
    async cleared() {
      if (cosigned[Math.min(waits++, cosigned.length - 1)] ?? true) return;
      came.push("waits");
      await new Promise(() => undefined);
    },
    heard() {
      before = false;
      return Promise.resolve(null);
    },
    appended: () => undefined,
    suspended: () => (!before && meanwhile === "suspends" ? "maintenance" : null),
    halted: () => false,
    stopping: () => false,
    readPolicy: () => ({
      policy: !before && meanwhile === "takes the rule out" ? { ...policy, rules: [], index: new Map() } : policy,
      digest: `sha256:${"a".repeat(64)}`,
    }),
    history: () => ({ intents: new Map(), since: null, revision: highest }),
    head: {
      put: async () => {
        came.push("put");
        return heads[Math.min(puts++, heads.length - 1)] ?? null;
      },
    },
  } as unknown as Road;
  await recover(intent, road, stop);
  expect(written.filter(({ kind }) => kind !== "policy")).toMatchObject([
    { kind: "outcome", command: COMMAND, intent: 3, code: "not-done" },
  ]);
  return came;
}

test("the head is in the owner's bucket before what was left is taken away", async () => {
  expect(await recovered([null], policy.revision)).toEqual(["put", "clear", "reconcile"]);
});

test("without the head in the bucket nothing is taken away, and it is tried again", async () => {
  const came = await recovered(["away", "another head lies there", null], policy.revision);
  expect(came).toEqual(["put", "put", "put", "clear", "reconcile"]);
});

test("a bucket that stays away for an hour leaves it, and the outcome is written", async () => {
  const came = await recovered(["away"], policy.revision);
  expect(came).not.toContain("clear");
  expect(came.at(-1)).toBe("reconcile");
});

test("an older policy than the log has seen permits no taking away", async () => {
  expect(await recovered([null], policy.revision + 1)).toEqual(["reconcile"]);
});

test("a newer policy than the log has seen is on record, once, before anything is decided by it", async () => {
  expect(await recovered([null], policy.revision - 1)).toEqual(["policy", "put", "clear", "reconcile"]);
  const again = await recovered(["away", null], policy.revision - 1);
  expect(again).toEqual(["policy", "put", "put", "clear", "reconcile"]);
});

test("what the owner did not permit any more while others were waited for is not taken away", async () => {
  for (const meanwhile of ["takes the rule out", "suspends"] as const)
    expect(await recovered([null], policy.revision, { meanwhile })).toEqual(["put", "reconcile"]);
});

test("nothing is taken away before the required witness has seen what is on record", async () => {
  const came = await recovered([null], policy.revision, { cosigned: [false, false, true] });
  expect(came).toEqual(["waits", "waits", "put", "clear", "reconcile"]);
});

test("a required witness that stays away for an hour leaves it, and the outcome is written", async () => {
  const came = await recovered([null], policy.revision, { cosigned: [false] });
  expect(new Set(came.slice(0, -1))).toEqual(new Set(["waits"]));
  expect(came.at(-1)).toBe("reconcile");
});
