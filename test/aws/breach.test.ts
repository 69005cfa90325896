/** A breach of the gate that proves whose the credentials are, as any other: an entry `gate`, exit code 70, and not one byte of it at AWS. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { type Shown, type Stage, stage } from "./stage.ts";
import { type Moto, startMoto } from "./world/moto.ts";

let moto: Moto;
let s: Stage;
beforeAll(async () => {
  moto = await startMoto();
  s = await stage(moto);
  await s.kill();
}, 600_000);
afterAll(async () => {
  await s?.end();
  await moto?.stop();
}, 60_000);

const TAMPERED = join(import.meta.dir, "tampered.ts");
const tampered = (nth: number | "look"): ChildProcess => s.machine.startAgent(process.execPath, TAMPERED, String(nth));
const proofs = (): number => s.cloud.calls.filter(({ operation }) => operation === "GetCallerIdentity").length;
const of = (command: string, kind: string): Shown[] =>
  s.entries().filter((entry) => entry.command === command && entry.kind === kind);

/** Waits for the process to end by itself. */
async function exitOf(agent: ChildProcess): Promise<number | null> {
  await s.machine.until("it ends", () => agent.exitCode !== null || agent.signalCode !== null, 120);
  return agent.exitCode;
}
function breaches(command: string): unknown[] {
  return of(command, "gate").map((entry) => ({ ...entry }));
}
const expected = (command: string) => ({
  ...{ kind: "gate", code: "gate.place", command, operation: "sts:GetCallerIdentity", resource: s.cloud.account },
});

test("while a command is looked at: refused nothing, carried out nothing, on record and ended", async () => {
  const [before, changes] = [proofs(), s.cloud.calls.filter(({ changed }) => changed).length];
  const agent = tampered(1);
  const { command } = await s.scale(4, false);
  expect(await exitOf(agent)).toBe(70);
  expect(breaches(command)).toMatchObject([expected(command)]);
  expect([of(command, "intent"), of(command, "refused"), of(command, "outcome")]).toEqual([[], [], []]);
  expect([proofs(), s.cloud.calls.filter(({ changed }) => changed).length]).toEqual([before, changes]);
}, 240_000);

test("while a command is carried out, and while its intent is looked into after that: its intent stays open, and is ended by a sound agent", async () => {
  const before = proofs();
  // The command before was not decided: it is handed out again, and may be the one that meets the mistake.
  const first = tampered(4);
  const { command } = await s.scale(3, false);
  expect(await exitOf(first)).toBe(70);
  const open = s.entries().filter(({ kind, index }) => kind === "intent" && s.outcomeOf(intentAt(index)) === null);
  expect(open).toHaveLength(1);
  const met = open[0]?.command ?? "none";
  expect(breaches(met).at(-1)).toMatchObject(expected(met));
  expect(proofs()).toBe(before + 3);

  const count = breaches(met).length;
  expect(await exitOf(tampered(1))).toBe(70);
  expect(breaches(met)).toHaveLength(count + 1);
  expect(of(met, "outcome")).toEqual([]);
  expect(proofs()).toBe(before + 3);

  await s.start();
  await s.machine.until(
    "both commands are decided",
    () => s.outcomeOf(command) !== null && s.outcomeOf(met) !== null,
    120,
  );
  expect(of(met, "outcome")).toHaveLength(1);
  expect(s.machine.reeve(["audit", "verify"], "--ca", s.machine.root).code).toBe(11);
}, 400_000);

test("at a look at the owner's folder, for no command: on record all the same", async () => {
  await s.kill();
  const before = s.entries().length;
  expect(await exitOf(tampered("look"))).toBe(70);
  const found = s
    .entries()
    .slice(before)
    .filter(({ kind }) => kind === "gate");
  expect(found).toMatchObject([{ code: "gate.place", command: null, resource: "look" }]);
  expect(s.machine.reeve(["audit", "show"]).stdout).toContain("sts:GetCallerIdentity on look  of no command");
}, 240_000);

/** The command of the intent at an index. */
function intentAt(index: number): string {
  return s.entries().find((entry) => entry.index === index)?.command ?? "none";
}
