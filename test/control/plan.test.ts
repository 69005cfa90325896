import { afterEach, beforeEach, expect, test } from "bun:test";
import fc from "fast-check";
import { judge, matchAt } from "../../control/judge.ts";
import { type Planned, plan, type Question } from "../../control/plan.ts";
import { exitOfPlan, planText, sumOf } from "../../control/planText.ts";
import type { Store } from "../../control/store.ts";
import { type Asked, type Found, type History, NOBODY } from "../../policy/asked.ts";
import { authorize } from "../../policy/authorize.ts";
import { parsePolicy } from "../../policy/parse.ts";
import { isRefusal } from "../../policy/refusal.ts";
import { newStore } from "../fleet/engine.ts";
import { addCluster, type ClusterLike, done, handIn, policyText, RULE } from "./planWorld.ts";

let store: Store;
beforeEach(async () => {
  store = await newStore();
});
afterEach(() => store.close());

const scale = (count: number): Asked => ({ action: "scale", args: { group: "brokers", count } });
const ask = (asked: Asked, more: Partial<Question> = {}): Promise<Planned[]> =>
  plan(store, { asked, found: null, clusters: null, vendor: "vendor.example", now: Date.now(), ...more });
const add = (cluster: string, like: ClusterLike): Promise<void> =>
  store.transaction((sql) => addCluster(sql, cluster, like));
const onlyOf = (planned: readonly Planned[]): Planned => {
  const [only] = planned;
  if (only === undefined || planned.length !== 1) throw new Error(`${planned.length} clusters`);
  return only;
};
const handed = (cluster: string, ...entries: ReturnType<typeof done>): Promise<void> =>
  store.transaction(async (sql) => {
    for (const entry of entries) await handIn(sql, cluster, entry);
  });

test("a fleet's answers: who would allow, wait, refuse and by which field, and of whom it is not known", async () => {
  const approval = "{ by: [alice, bob], need: 1, within: 2h }";
  await add("allows", { policy: policyText("allows", RULE("grow")) });
  await handed("allows", ...done("allows", 1840, Date.now() - 1000, {}));
  await add("waits", { policy: policyText("waits", RULE("grow", { approval })) });
  await handed("waits", ...done("waits", 7, Date.now() - 1000, {}));
  await add("refuses", { policy: policyText("refuses", RULE("grow", { count: "{ min: 3, max: 5 }" })) });
  await add("other-group", { policy: policyText("other-group", RULE("grow", { group: "others" })) });
  await add("depends", { policy: policyText("depends", RULE("grow")) });
  await add("silent", {
    policy: policyText("silent", RULE("grow", { change: "{ up: 1000000, down: 1000000 }" })),
    silent: 500,
  });
  await add("never", { policy: null, epoch: 0, silent: null });
  await add("private", { policy: null });
  await add("off", { policy: policyText("off", RULE("grow")), state: "suspended", reason: "maintenance" });
  await add("broken", {
    policy: null,
    state: "refusing",
    reason: "policy.invalid: policy.yaml:1:1: the file is empty",
  });
  await store.transaction((sql) =>
    handIn(sql, "broken", {
      v: 1,
      index: 3,
      time: "2026-11-24T09:14:07.412Z",
      cluster: "broken",
      epoch: 1,
      kind: "policy",
      policy: `sha256:${"0".repeat(64)}`,
      revision: 0,
      code: "policy.invalid",
    }),
  );
  const planned = await ask(scale(8));
  expect(planned.map(({ cluster, answer, code, field }) => [cluster, answer, code, field])).toEqual([
    ["allows", "allow", null, null],
    ["broken", "refuse", "policy.invalid", null],
    ["depends", "depends", null, null],
    ["never", "away", null, null],
    ["off", "refuse", "verify.suspended", null],
    ["other-group", "refuse", "match.no-rule", null],
    ["private", "not-shared", null, null],
    ["refuses", "refuse", "policy.count.above-max", "count"],
    ["silent", "away", null, null],
    ["waits", "wait", null, null],
  ]);
  expect(sumOf(planned)).toEqual({
    clusters: 10,
    allow: 1,
    wait: 1,
    refuse: 4,
    depends: 1,
    not_shared: 1,
    away: 2,
    refused_by: {
      "match.no-rule": 1,
      "policy.count.above-max (count)": 1,
      "policy.invalid": 1,
      "verify.suspended": 1,
    },
    waits_for: { "1 of alice, bob": 1 },
  });
  const text = planText(planned);
  expect(text).toMatch(/^allows +allow +rule grow +policy revision 7, count 6 as of entry 1841$/m);
  expect(text).toMatch(/^waits +wait +rule grow, for 1 of alice, bob +policy revision 7, count 6 as of entry 8$/m);
  expect(text).toMatch(/^off +refuse +verify.suspended: the owner's switch is off \(maintenance\) +-$/m);
  expect(text).toMatch(
    /^silent +not known +not heard from; when it is back: allow +policy revision 7, its state not known$/m,
  );
  expect(text).toMatch(/^private +not known +its policy is not shared +-$/m);
  expect(text).toContain("\nof 10 clusters\n    1 would allow\n    1 would wait: 1 for 1 of alice, bob\n");
  expect(exitOfPlan(planned)).toBe(1);
});

test("the exit code says 0 when all would allow, 1 when any would refuse, 8 when of some it is not known", () => {
  const of = (...answers: Planned["answer"][]): number =>
    exitOfPlan(answers.map((answer) => ({ answer }) as unknown as Planned));
  expect(of("allow", "allow")).toBe(0);
  for (const other of ["wait", "depends", "not-shared", "away"] as const) expect(of("allow", other)).toBe(8);
  expect(of("allow", "away", "refuse")).toBe(1);
});

test("rates are judged by the intents that were handed in, of this epoch and inside the window", async () => {
  await add("c", { policy: policyText("c", RULE("grow", { rate: "2 per hour" })) });
  const now = Date.now();
  await handed("c", ...done("c", 1, now - 3_700_000, {}));
  await handed("c", ...done("c", 3, now - 60_000, {}));
  expect(onlyOf(await ask(scale(7), { now })).answer).toBe("allow");
  await handed("c", ...done("c", 5, now - 1000, {}));
  const used = onlyOf(await ask(scale(7), { now }));
  expect([used.answer, used.code, used.because]).toEqual([
    "refuse",
    "policy.rate",
    "the customer's rule grow allows 2 per hour, and 2 are used up",
  ]);
  // A new machine remembers nothing: its rates count as used up, and what the older one left is not known.
  await store.transaction((sql) => sql.run("update clusters set epoch = 2"));
  await store.transaction((sql) => sql.run("update shared set epoch = 2"));
  expect(onlyOf(await ask(scale(7), { now })).because).toContain("the log does not reach back that far");
});

test("a policy that was shared in an older epoch is not judged by", async () => {
  await add("c", { policy: policyText("c", RULE("grow")), epoch: 2 });
  await store.transaction((sql) => sql.run("update shared set epoch = 1"));
  expect(onlyOf(await ask(scale(7))).answer).toBe("not-shared");
});

test("what the operator says was found is judged by instead, and is said to be given", async () => {
  await add("c", { policy: policyText("c", RULE("grow")) });
  await handed("c", ...done("c", 1, Date.now() - 1000, {}));
  const given = async (count: number): Promise<Planned> =>
    onlyOf(await ask(scale(8), { found: { action: "scale", count } }));
  expect((await given(7)).answer).toBe("allow");
  expect((await given(5)).code).toBe("policy.change.up");
  expect(planText([await given(7)])).toContain("policy revision 7, count 7 as given");
});

test("a record's state is taken from entries: created, then there, then deleted", async () => {
  const dns = (change: "create" | "delete"): Asked => ({
    action: "update-dns",
    args: { zone: "z", name: "b.example", type: "A", change, values: change === "create" ? ["10.0.0.1"] : [], ttl: 60 },
  });
  const rules = `  - id: dns
    why: x
    allow: update-dns
    zone: z
    changes: [create, replace, delete]
    names: { below: example }
    types: [A]
    values: { within: [10.0.0.0/8] }
    ttl: { min: 30s, max: 1h }
    rate: 60 per hour
    when: always
    approval: none
`;
  await add("c", { policy: policyText("c", rules) });
  expect(onlyOf(await ask(dns("create"))).answer).toBe("depends");
  const created = { action: "update-dns" as const, allowed: { policy: `sha256:${"0".repeat(64)}`, rule: "dns" } };
  const asked = { zone: "z", name: "b.example", type: "A", values: ["10.0.0.1"], ttl: 60 };
  await handed(
    "c",
    ...done("c", 1, Date.now(), { ...created, asked: { ...asked, change: "create" }, found: { record: null } }),
  );
  const again = onlyOf(await ask(dns("create")));
  expect([again.answer, again.code]).toEqual(["refuse", "policy.changes"]);
  expect(planText([onlyOf(await ask(dns("delete")))])).toContain("record 10.0.0.1 ttl 1m as of entry 2");
  await handed(
    "c",
    ...done("c", 3, Date.now(), { ...created, asked: { ...asked, values: [], change: "delete" }, found: {} }),
  );
  expect(onlyOf(await ask(dns("create"))).answer).toBe("allow");
  expect(onlyOf(await ask(dns("delete"))).code).toBe("policy.changes");
});

test("a command that is at work leaves the state unknown, and the plan says what this one comes after", async () => {
  await add("c", { policy: policyText("c", RULE("grow")) });
  const [intent] = done("c", 1, Date.now(), {});
  await store.transaction(async (sql) => {
    await handIn(sql, "c", intent);
    await sql.run(
      `insert into commands (id, cluster, epoch, resource, jws, digest, exp, state, cancel, replay)
       values ('i', 'c', 1, 'group:brokers', '', '', 9999999999, 'intent', 0, 0)`,
    );
  });
  const one = onlyOf(await ask(scale(8)));
  expect([one.answer, one.open_commands]).toEqual(["depends", 1]);
  expect(planText([one])).toContain("; comes after an open command there");
});

test("without a known state the answer holds in every state, or says that it depends: against all counts, one by one", () => {
  const rule = fc.record({
    count: fc.tuple(fc.nat(6), fc.nat(6)).map(([a, b]) => `{ min: ${Math.min(a, b)}, max: ${Math.max(a, b)} }`),
    change: fc.tuple(fc.nat(4), fc.nat(4)).map(([up, down]) => `{ up: ${up}, down: ${down} }`),
    rate: fc.constantFrom("1 per minute", "3 per day"),
    when: fc.constantFrom("always", "Mon-Fri 00:00-12:00 UTC"),
    approval: fc.constantFrom("none", "{ by: [alice], need: 1, within: 1h }"),
  });
  const seen = { allow: 0, wait: 0, refuse: 0, depends: 0 };
  fc.assert(
    fc.property(
      fc.array(rule, { minLength: 1, maxLength: 3 }),
      fc.nat(6),
      fc.nat(3),
      fc.boolean(),
      (rules, count, used, open) => {
        const text = policyText("c", rules.map((fields, at) => RULE(`r${at}`, fields)).join(""));
        const parsed = parsePolicy(Buffer.from(text));
        if ("errors" in parsed) throw new Error(JSON.stringify(parsed.errors));
        const matched = matchAt(parsed.policy, scale(count), "vendor.example", "c");
        if (isRefusal(matched)) return;
        const now = Date.parse(open ? "2026-11-24T09:00:00Z" : "2026-11-24T13:00:00Z");
        const history: History = {
          intents: new Map([["r0", new Array<number>(used).fill(now - 1000)]]),
          since: null,
          revision: 7,
        };
        const states = [...Array.from({ length: 40 }, (_, each) => each), 999_999, 1_000_000];
        const decisions = states.map((each) =>
          authorize(matched, { action: "scale", count: each }, history, now, NOBODY),
        );
        const answers = new Set(decisions.map(({ decided }) => decided));
        const verdict = judge(matched, null, history, now);
        const names = { allowed: "allow", wait: "wait", refused: "refuse" } as const;
        const best = (["allowed", "wait", "refused"] as const).find((each) => answers.has(each));
        if (best === undefined) throw new Error("nothing was decided");
        seen[verdict.answer]++;
        if (answers.size === 1) expect(verdict.answer).toBe(names[best]);
        else expect(verdict).toMatchObject({ answer: "depends", best: names[best] });
        if (verdict.answer === "refuse") expect(["policy.rate", "policy.when"]).toContain(verdict.refusal.code);
      },
    ),
    { numRuns: 2000 },
  );
  // All counts from 0 to a million permit only when the change is as large: that is rare, and is tested by name above.
  expect(seen.refuse).toBeGreaterThan(50);
  expect(seen.depends).toBeGreaterThan(500);
});

test("a certificate is judged by its request when that is known; without it only what no request would change is sure", async () => {
  const rules = (more: string): string => `  - id: certificates
    why: x
    allow: issue-certificate
    authority: ca
    names: { below: c.example }
    key: { made: in-cluster, type: [P-256] }
    usages: [server]
    validity: { min: 1h, max: 30d }
    rate: 20 per day
    when: ${more}
    approval: none
`;
  await add("open", { policy: policyText("open", rules("always")) });
  await add("shut", { policy: policyText("shut", rules("2020-01-01T00:00Z to 2020-01-02T00:00Z")) });
  const asked: Asked = {
    action: "issue-certificate",
    args: { authority: "ca", csr_sha256: "0".repeat(64), usages: ["server"], validity: 86_400 },
  };
  const codes = async (found: Question["found"]): Promise<(string | null)[][]> =>
    (await ask(asked, { found })).map(({ answer, code }) => [answer, code]);
  expect(await codes(null)).toEqual([
    ["depends", null],
    ["refuse", "policy.when"],
  ]);
  const csr = { signatureValid: true, subject: "", commonName: null, keyType: "P-256", extensions: [], wantsCa: false };
  const request = (name: string): Found => ({
    action: "issue-certificate",
    made: "in-cluster",
    csr: { ...csr, sans: [{ type: "dns", value: name }] },
  });
  expect((await codes(request("b1.c.example")))[0]).toEqual(["allow", null]);
  expect((await codes(request("evil.example")))[0]).toEqual(["refuse", "policy.names"]);
  expect((await codes("unreadable"))[0]).toEqual(["refuse", "policy.csr.unreadable"]);
});
