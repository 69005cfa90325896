import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqlite } from "../../control/sqlite.ts";
import { writeMeta } from "../../control/store.ts";
import { addCluster, done, handIn, policyText, RULE } from "../control/planWorld.ts";
import { CONTROL, type Ran, ran, type World, world } from "../e2e/world.ts";
import { type Customer, customer, endAll } from "./fleet.ts";
import { type Recorder, recorder } from "./recorder.ts";

/** In the policy's text, and nowhere else that an agent could have it from. */
const SECRET = "8731-a-remark-that-only-the-policy-holds";
const OTHERS = "5520-a-remark-for-another-vendor";
const withSecret = (text: string): string => `# ${SECRET}\n${text}`;
const digestOf = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;

let w: World;
const children: ChildProcess[] = [];
beforeAll(async () => {
  w = await world();
}, 60_000);
afterAll(async () => {
  await endAll(children);
  await w?.end();
}, 60_000);

const ready = (of: Customer): Promise<void> =>
  w.until(`${of.name} is ready`, () => of.reeve(["status"], "--json").code === 0);
const join_ = async (name: string, policy: string): Promise<Customer> => {
  const one = customer(w, name, policy);
  children.push(one.start());
  await ready(one);
  return one;
};
/** Every byte of the control plane's folder, its database's journal too. */
const inDatabase = (text: string): boolean =>
  readdirSync(w.data)
    .filter((name) => name.startsWith("state.db"))
    .some((name) => readFileSync(join(w.data, name)).includes(text));
/** A command that no rule permits: whatever it becomes, the agent has looked at its policy and handed in what it wrote. */
const nudge = (cluster: string): Ran =>
  ran(
    CONTROL,
    ...["send", "--dir", w.data, "--keys", w.keys, "--cluster", cluster, "--wait", "--json"],
    ...["scale", "--group", "nobody", "--count", "1"],
  );
type Plan = {
  clusters: Record<string, unknown>[];
  sum: Record<string, unknown>;
};
const planned = (...args: string[]): { code: number | null; plan: Plan } => {
  const done = ran(CONTROL, "fleet", "--dir", w.data, "--json", "plan", ...args);
  if (done.stderr !== "") throw new Error(done.stderr);
  return { code: done.code, plan: JSON.parse(done.stdout) as Plan };
};
const answerOf = (cluster: string, ...args: string[]): Record<string, unknown> =>
  planned("--cluster", cluster, ...args).plan.clusters[0] ?? {};
const scale = (count: number): string[] => ["scale", "--group", "brokers", "--count", String(count)];

describe("what the policy shares, through the compiled executables", () => {
  test("nothing is sent to the control plane but what identity needs, entries, and what `share` lists", async () => {
    const dir = mkdtempSync(join(tmpdir(), "reeve-recorder-"));
    mkdirSync(join(dir, "control"), { recursive: true });
    const plane: Recorder = await recorder(join(dir, "control"));
    const own: ChildProcess[] = [];
    try {
      const name = "recorded";
      const token = ran(
        CONTROL,
        "token",
        "--dir",
        join(dir, "control"),
        "--keys",
        w.keys,
        "--cluster",
        name,
      ).stdout.trim();
      const closed = withSecret(policyText(name, RULE("grow"), { share: "[]" }));
      const one = customer(w, name, closed, { enrol: plane.enrol, token });
      own.push(one.start());
      const sent = (path: string) => plane.recorded.filter((call) => call.path === path);
      const polls = async (many: number): Promise<void> => {
        const before = sent("/v1/commands").length;
        await w.until(`${many} more polls`, () => sent("/v1/commands").length >= before + many, 60);
      };
      await w.until("it polls", () => sent("/v1/commands").length > 0);
      await polls(3);
      await w.until("its head is cosigned", () => sent("/v1/witness").length > 0, 60);
      const everything = (): string =>
        plane.recorded.map((call) => `${call.path}${call.headers}${call.body}`).join("\n");
      expect(new Set(plane.recorded.map((call) => call.path))).toEqual(
        new Set(["/v1/nonce", "/v1/enroll", "/v1/commands", "/v1/reports", "/v1/witness"]),
      );
      expect(everything()).not.toContain(SECRET);
      expect(everything()).not.toContain("count: {");

      const open = withSecret(policyText(name, RULE("grow"), { revision: 8 }));
      one.policy(open);
      await w.until("the policy is shared", () => sent("/v1/shared").length > 0, 60);
      await w.until("it was taken", () => one.log().includes("the policy's text was shared"));
      expect(JSON.parse(sent("/v1/shared")[0]?.body ?? "")).toEqual({
        kind: "policy",
        digest: digestOf(open),
        text: open,
      });
      // The entry that names it went first: it was taken at once.
      expect(sent("/v1/shared")).toHaveLength(1);
      for (const call of plane.recorded) if (call.path !== "/v1/shared") expect(call.body).not.toContain(SECRET);
      await polls(3);
      expect(sent("/v1/shared")).toHaveLength(1);

      // The owner goes to another vendor: the policy for that one is none of this one's business.
      const others = `# ${OTHERS}\n${policyText(name, RULE("grow"), { revision: 9, vendor: "another.example" })}`;
      one.policy(others);
      await w.until("it is taken back", () => sent("/v1/shared").length === 2, 60);
      expect(JSON.parse(sent("/v1/shared")[1]?.body ?? "")).toEqual({
        kind: "policy",
        digest: digestOf(open),
        text: null,
      });
      await polls(3);
      expect(sent("/v1/shared")).toHaveLength(2);
      expect(everything()).toContain(digestOf(others));
      expect(everything()).not.toContain(OTHERS);

      // An older control plane is left alone, with one line.
      plane.forgetShared();
      one.policy(withSecret(policyText(name, RULE("grow"), { revision: 10 })));
      await w.until("it hears that nobody takes it", () => one.log().includes("takes no shared policy"), 60);
      await polls(3);
      expect(sent("/v1/shared")).toHaveLength(3);
      expect(one.log().match(/takes no shared policy/g)).toHaveLength(1);
    } finally {
      await endAll(own);
      await plane.end();
      rmSync(dir, { recursive: true, force: true });
    }
  }, 240_000);

  test("with `share: []` the policy's text never reaches the control plane; shared, it does; taken out again, it is forgotten", async () => {
    const name = "sharing";
    const text = (share: string, revision: number): string =>
      withSecret(policyText(name, RULE("grow"), { share, revision }));
    const one = await join_(name, text("[]", 1));
    nudge(name);
    expect(inDatabase(SECRET)).toBe(false);
    expect(answerOf(name, ...scale(8))["answer"]).toBe("not-shared");

    one.policy(text("[policy]", 2));
    nudge(name);
    await w.until("it is shared", () => answerOf(name, ...scale(8))["answer"] !== "not-shared", 60);
    expect(inDatabase(SECRET)).toBe(true);

    one.policy(text("[]", 3));
    nudge(name);
    await w.until("it is forgotten", () => answerOf(name, ...scale(8))["answer"] === "not-shared", 60);
    // What is deleted in a database leaves bytes behind until they are written over: its rows are looked at.
    const rows = async (): Promise<unknown[]> => {
      const store = await openSqlite(join(w.data, "state.db"));
      const found = await store.transaction((sql) => sql.rows("select * from shared where cluster = $1", name));
      store.close();
      return found;
    };
    expect(await rows()).toEqual([]);

    // Taken out while the agent was away, by a process that never said it: forgotten too.
    one.policy(text("[policy]", 4));
    nudge(name);
    await w.until("it is shared again", () => answerOf(name, ...scale(8))["answer"] !== "not-shared", 60);
    ran("pkill", "-KILL", "-f", `run --config ${one.config}`);
    one.policy(text("[]", 5));
    one.start();
    await w.until("it is forgotten again", () => answerOf(name, ...scale(8))["answer"] === "not-shared", 60);
    expect(await rows()).toEqual([]);
  }, 120_000);
});

describe("`fleet plan`, through the compiled executables", () => {
  test("several clusters answer as their agents then do: allow, wait, refuse, suspended, not shared", async () => {
    const approval = "{ by: [alice, bob], need: 1, within: 2h }";
    const wide = { count: "{ min: 0, max: 4 }", change: "{ up: 2, down: 4 }" };
    const [allows] = await Promise.all([
      join_("allows", policyText("allows", RULE("grow", wide))),
      join_("waits", policyText("waits", RULE("grow", { ...wide, approval }))),
      join_("refuses", policyText("refuses", RULE("grow", { ...wide, count: "{ min: 0, max: 1 }" }))),
      join_("private", policyText("private", RULE("grow", wide), { share: "[]" })),
    ]);
    const names = ["allows", "waits", "refuses", "private"];
    const only = names.flatMap((name) => ["--cluster", name]);
    for (const name of names) nudge(name);
    const answers = (...args: string[]) =>
      Object.fromEntries(planned(...only, ...args).plan.clusters.map((one) => [one["cluster"], one["answer"]]));
    await w.until("three have shared", () => answers(...scale(2))["refuses"] === "refuse", 60);
    await w.until("all have shared", () => answers(...scale(2))["waits"] === "depends", 60);
    // Nobody has said what the groups are: what is given is judged by.
    expect(answers(...scale(2))).toEqual({
      allows: "depends",
      waits: "depends",
      refuses: "refuse",
      private: "not-shared",
    });
    expect(answers(...scale(2), "--found", "0")).toEqual({
      allows: "allow",
      waits: "wait",
      refuses: "refuse",
      private: "not-shared",
    });
    // Each agent answers the very command so.
    const sent = (name: string): Record<string, unknown> =>
      JSON.parse(
        ran(
          CONTROL,
          ...["send", "--dir", w.data, "--keys", w.keys, "--cluster", name, "--wait", "--json", "--dry-run"],
          ...scale(2),
        ).stdout,
      ) as Record<string, unknown>;
    expect(sent("allows")["state"]).toBe("considered");
    expect((sent("waits")["entry"] as Record<string, unknown>)["approval"]).toMatchObject({ need: 1 });
    expect(sent("refuses")["code"]).toBe("policy.count.above-max");
    // And from their dry runs it is known what was found.
    const now = planned(...only, ...scale(2));
    expect(now.code).toBe(1);
    expect(now.plan.sum).toMatchObject({
      clusters: 4,
      allow: 1,
      wait: 1,
      refuse: 1,
      depends: 0,
      not_shared: 1,
      away: 0,
    });
    expect(answerOf("allows", ...scale(2))["judged_by"]).toMatchObject({ revision: 7, found: { count: 0 } });
    expect(planned("--cluster", "allows", ...scale(2)).code).toBe(0);
    expect(planned("--cluster", "allows", "--cluster", "private", ...scale(2)).code).toBe(8);
    expect(answerOf("allows", ...scale(3))["code"]).toBe("policy.change.up");

    expect(allows.reeve(["suspend"], "--why", "maintenance").code).toBe(0);
    await w.until("the agent has said so", () => answerOf("allows", ...scale(2))["code"] === "verify.suspended", 60);
    expect(answerOf("allows", ...scale(2))["because"]).toBe("the owner's switch is off (maintenance)");

    const text = ran(CONTROL, "fleet", "plan", "--dir", w.data, ...only, ...scale(2));
    expect(text.stdout).toMatch(
      /^waits +wait +rule grow, for 1 of alice, bob +policy revision 7, count 0 as of entry \d+$/m,
    );
    expect(text.stdout).toContain("\nof 4 clusters\n    1 would wait: 1 for 1 of alice, bob\n    2 would refuse: ");
  }, 120_000);

  test("what cannot be planned is said: no action, a wrong flag, an unknown cluster, a request that is another", () => {
    const of = (...args: string[]): Ran => ran(CONTROL, "fleet", "--dir", w.data, "plan", ...args);
    for (const [code, args] of [
      [2, []],
      [2, ["scale", "--group", "brokers"]],
      [2, ["--cluster", "No Name", ...scale(2)]],
      [2, ["scale", "--group", "two words", "--count", "1"]],
      [1, ["--cluster", "nobody", ...scale(2)]],
      [
        2,
        [
          "issue-certificate",
          "--authority",
          "a",
          "--csr-sha256",
          "0".repeat(64),
          "--usage",
          "server",
          "--validity",
          "1d",
        ].concat(["--found-csr", w.config]),
      ],
    ] as const) {
      const said = of(...args);
      expect([args.join(" "), said.code]).toEqual([args.join(" "), code]);
      expect(said.stderr).toStartWith("error: Cannot ");
      expect(said.stderr).toContain("\nhint: ");
    }
  }, 60_000);

  test("a thousand clusters are answered for at once", async () => {
    const dir = mkdtempSync(join(tmpdir(), "reeve-thousand-"));
    try {
      const store = await openSqlite(join(dir, "state.db"));
      await store.transaction(async (sql) => {
        await writeMeta(sql, "trust_domain", "vendor.example");
        for (let at = 0; at < 1000; at++) {
          const name = `c-${String(at).padStart(4, "0")}`;
          const rules = Array.from({ length: 10 }, (_, rule) => RULE(`grow-${rule}`, { group: `g-${rule}` })).join("");
          await addCluster(sql, name, { policy: policyText(name, rules + RULE("grow")) });
          for (let entry = 1; entry < 40; entry += 2)
            for (const one of done(name, entry, Date.now() - 4_000_000, {})) await handIn(sql, name, one);
        }
      });
      store.close();
      const begun = performance.now();
      const said = ran(CONTROL, "fleet", "plan", "--dir", dir, "--json", ...scale(8));
      const seconds = (performance.now() - begun) / 1000;
      expect((JSON.parse(said.stdout) as Plan).sum).toMatchObject({ clusters: 1000, allow: 1000 });
      expect(said.code).toBe(0);
      console.log(`1,000 clusters, each with a policy of its own: ${seconds.toFixed(1)} s`);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }, 120_000);
});
