/**
 * The permissions that `policy permissions` renders are sufficient (every case passes with them), minimal (without any one action some case
 * fails) and scoped (each call that really came is allowed with their resources and conditions, and one step to the side is denied).
 * moto's IAM judges actions only, so it gets a copy about everything; resources and conditions are judged by @cloud-copilot/iam-simulate.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { callOf, permits, siblingsOf } from "./simulate.ts";
import { type Stage, stage, widened } from "./stage.ts";
import { type Moto, startMoto } from "./world/moto.ts";

let moto: Moto;
let s: Stage;
beforeAll(async () => {
  moto = await startMoto();
  s = await stage(moto);
}, 600_000);
afterAll(async () => {
  await s?.end();
  await moto?.stop();
}, 60_000);

type Case = { readonly name: string; run(): Promise<{ readonly code: number | null }> };
const record = (values: readonly string[]) => ({
  Name: s.recordName,
  Type: "A",
  TTL: 60,
  ResourceRecords: values.map((Value) => ({ Value })),
});
const put = () => s.cloud.others.changeRecords({ Action: "UPSERT", ResourceRecordSet: record(["10.20.0.1"]) });
async function clear(): Promise<void> {
  const found = await s.cloud.look.record(s.recordName, "A");
  if (found !== null) await s.cloud.others.changeRecords({ Action: "DELETE", ResourceRecordSet: found });
}

/** What the policy's rules are for; each begins from the same state, put there by someone else. */
const CASES: readonly Case[] = [
  { name: "a group grows", run: () => s.cloud.others.scale(2).then(() => s.scale(3)) },
  { name: "a group shrinks", run: () => s.cloud.others.scale(3).then(() => s.scale(2)) },
  { name: "a certificate is issued", run: () => s.certificate() },
  { name: "a record is created", run: () => clear().then(() => s.record("create", "10.20.0.1")) },
  { name: "a record is replaced", run: () => put().then(() => s.record("replace", "10.20.0.2")) },
  { name: "a record is deleted", run: () => put().then(() => s.record("delete", "")) },
];

function actions(): readonly string[] {
  const all = s.permissions.Statement.flatMap(({ Action }) => (typeof Action === "string" ? [Action] : [...Action]));
  return [...new Set(all)].sort();
}

/** The first case that fails; null: all pass. Those of the action's own service are tried first. */
async function failing(action: string | null): Promise<string | null> {
  const word =
    action === null
      ? ""
      : { autoscaling: "group", "acm-pca": "certificate", route53: "record" }[action.split(":")[0] ?? ""];
  const ordered = [...CASES].sort((a, b) => Number(b.name.includes(word ?? "")) - Number(a.name.includes(word ?? "")));
  for (const { name, run } of ordered) if ((await run()).code !== 0) return name;
  return null;
}

function row(claim: string, said: string): void {
  console.log(`      ${claim.padEnd(60)} ${said}`);
}

test("sufficient: every case passes with what is rendered, and nothing is denied", async () => {
  const before = s.cloud.calls.length;
  // Both at once: moto looks at the actions, the other at resources and conditions of the same calls.
  s.cloud.switches.judge = (made) => permits(s.permissions, callOf(made));
  expect(await failing(null)).toBeNull();
  s.cloud.switches.judge = null;
  const made = s.cloud.calls.slice(before);
  expect(made.filter(({ error }) => error !== null)).toEqual([]);
  const used = new Set(made.map(({ service, operation }) => `${service}:${operation}`));
  used.delete("sts:GetCallerIdentity");
  expect([...used].sort()).toEqual([...actions()]);
  row("sufficient", `${CASES.length} cases pass with ${actions().length} actions, each of them used`);
}, 180_000);

test("minimal: without any one action a case fails, and the call that was denied is that one", async () => {
  expect(actions().length).toBeGreaterThan(8);
  for (const action of actions()) {
    await s.cloud.allow(widened(s.permissions, [action]));
    const before = s.cloud.calls.length;
    const failed = await failing(action);
    const denied = s.cloud.calls.slice(before).filter(({ error }) => error?.startsWith("AccessDenied") === true);
    expect([action, failed === null, denied.map(({ service, operation }) => `${service}:${operation}`)[0]]).toEqual([
      action,
      false,
      action,
    ]);
    row(`minimal: without ${action}`, `fails: ${failed}`);
  }
  await s.cloud.allow(widened(s.permissions));
}, 600_000);

test("scoped: each call that came is allowed by the rendered resources and conditions, and one step to the side is denied", async () => {
  const distinct = new Map(
    s.cloud.calls
      .filter(({ operation, error }) => operation !== "GetCallerIdentity" && error === null)
      .map((made) => {
        const call = callOf(made);
        // Every change has an id of its own: one stands for all.
        const which = made.operation === "GetChange" ? "" : `${call.resource} ${JSON.stringify(call.context)}`;
        return [`${call.action} ${which}`, call] as const;
      }),
  );
  const looked = new Set<string>();
  for (const call of distinct.values()) {
    expect([call, await permits(s.permissions, call)]).toEqual([call, true]);
    looked.add(call.action);
    for (const sibling of siblingsOf(call))
      expect([sibling, await permits(s.permissions, sibling.call)]).toEqual([sibling, false]);
    const beside = siblingsOf(call).map(({ what }) => what);
    const said =
      beside.length === 0 ? "AWS draws the id: any change may be asked about" : `denied: ${beside.join(", ")}`;
    const batch = call.context?.["route53:ChangeResourceRecordSetsActions"];
    row(`scoped: ${call.action}${batch === undefined ? "" : ` ${[batch].flat().join("+")}`}`, said);
  }
  expect([...looked].sort()).toEqual([...actions()]);
}, 120_000);

test("the world has no problem of its own", () => {
  expect(s.cloud.problems).toEqual([]);
});
