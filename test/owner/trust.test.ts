import { afterEach, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { REEVE, RULES, ran, send, type World, world, writePolicy } from "../e2e/world.ts";
import { approve, entriesFor, messageFor, type Person, peopleOf, person, place, signature } from "./people.ts";

/** What the owner approves besides commands: a trust statement, and the end of a fencing. Through the compiled executables. */
let w: World;
afterEach(async () => {
  await w?.end();
}, 60_000);

type Shown = {
  kind: string;
  version?: number;
  code?: string | null;
  digest?: string;
  changes?: string[];
  person?: string | null;
  approves?: string;
};
const entries = (kind?: string): Shown[] =>
  (w.entries() as Shown[]).filter((entry) => kind === undefined || entry.kind === kind);
const FIRST = `cmd-${new Date().toISOString().slice(0, 7)}`;
const fleetState = (): string =>
  (JSON.parse(w.vendor("fleet", "--json").stdout) as { clusters: { state: string }[] }).clusters[0]?.state ?? "";

async function begin(): Promise<[Person, Person]> {
  w = await world({ rotation: "approve" });
  const [alice, mallory] = [person(w.folder, "alice"), person(w.folder, "mallory")];
  writePolicy(w, RULES, 2, { people: peopleOf(alice) });
  w.startAgent();
  await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0);
  return [alice, mallory];
}
function rotate(...args: string[]): void {
  const done = w.vendor("keys rotate", "--cluster", "prod-eu-1", "--keys", w.keys, ...args);
  expect([done.stderr, done.code]).toEqual(["", 0]);
}
const scale = (count: number, ...args: string[]) =>
  send(w, "scale", "--group", "brokers", "--count", String(count), ...args);

test("a new trust statement waits for the owner: shown in full, approved by one of the policy's people, in force, in order", async () => {
  const [alice, mallory] = await begin();
  expect(scale(1).code).toBe(0);
  rotate("--new-key", "second");
  await w.until("statement 2 waits", () => entries("trust-waiting").length === 1, 40);
  expect(entries("trust-waiting")[0]).toMatchObject({ version: 2 });
  expect(entries("trust-waiting")[0]?.changes).toEqual([expect.stringMatching(/^adds command key second \(/)]);
  await w.until("the fleet and the status say so", () => fleetState() === "waiting for approval");
  expect(w.reeve(["status"]).stdout).toContain("trust-2  trust statement 2");
  // Until then the old key is the only one.
  expect(scale(2, "--dry-run").code).toBe(0);
  rotate("--drop-key", FIRST);
  place(w, "trust-2", signature(mallory, messageFor(w, mallory, "trust-2")));
  place(w, "trust-2.alice", signature(alice, messageFor(w, alice, "trust-2").replace("trust-2", "trust-3")));
  await w.until("both are refused", () => entries("approval").length === 2);
  expect(
    entries("approval")
      .map(({ code }) => code)
      .toSorted(),
  ).toEqual(["approval.person", "approval.signature"]);
  expect(entries("trust").map(({ version }) => version)).toEqual([1]);
  const shown = approve(w, alice, "trust-2");
  expect(shown.stdout).toContain("vendor.example wants prod-eu-1 to take its trust statement 2");
  expect(shown.stdout).toContain("adds command key second");
  await w.until("statement 2 is in force, and 3 waits", () => entries("trust-waiting").length === 2);
  expect(entries("trust").map(({ version }) => version)).toEqual([1, 2]);
  expect(entries("trust-waiting")[1]?.changes).toEqual([
    expect.stringMatching(new RegExp(`^drops command key ${FIRST} `)),
  ]);
  expect(approve(w, alice, "trust-3").code).toBe(0);
  await w.until("statement 3 is in force", () => entries("trust").length === 3);
  await w.until("nothing waits", () => fleetState() === "ready");
  expect(scale(2).code).toBe(0);
  expect(approve(w, alice, "trust-3").stderr).toContain("it is in force since entry");
  expect(w.reeve(["audit", "verify"], "--ca", w.root).code).toBe(11);
}, 120_000);

test("a command that waits under a key which the trust statement drops meanwhile is refused, approved or not", async () => {
  const [alice] = await begin();
  expect(scale(1).code).toBe(0);
  const asks = RULES.replace("approval: none", "approval: { by: [alice], need: 1, within: 2h }");
  writePolicy(w, asks, 3, { people: peopleOf(alice) });
  const waiting = scale(2);
  expect(waiting.code).toBe(8);
  const { command } = JSON.parse(waiting.stdout) as { command: string };
  rotate("--new-key", "second", "--drop-key", FIRST);
  await w.until("statement 2 waits", () => entries("trust-waiting").length === 1, 40);
  expect(approve(w, alice, "trust-2").code).toBe(0);
  await w.until("statement 2 is in force", () => entries("trust").length === 2);
  expect(approve(w, alice, command).code).toBe(0);
  await w.until("it is refused", () => entries("refused").some(({ code }) => code === "open.key"));
  expect(w.pids().length).toBe(1);
  expect(w.reeve(["status"]).stdout).toContain("waiting  nothing");
}, 120_000);

test("a waiting statement survives a restart, its approval given meanwhile too, and a signature over other bytes is nothing", async () => {
  const [alice] = await begin();
  expect(scale(1).code).toBe(0);
  rotate("--new-key", "second");
  await w.until("statement 2 waits", () => entries("trust-waiting").length === 1, 40);
  const message = messageFor(w, alice, "trust-2");
  ran("pkill", "-KILL", "-f", `run --config ${w.config}`);
  // The vendor's control plane hands out another one instead: the owner approved the first.
  const file = join(w.folder, "computer-of-alice/first.sig");
  writeFileSync(file, signature(alice, message));
  const edited = signature(alice, message.replace(/sha256:.{4}/, "sha256:0000"));
  place(w, "trust-2", edited);
  w.startAgent();
  await w.until("the signature over other bytes is refused", () => entries("approval").length === 1, 40);
  expect(entries("approval")[0]?.code).toBe("approval.signature");
  expect(entries("trust-waiting").length).toBe(1);
  place(w, "trust-2", signature(alice, message));
  await w.until("statement 2 is in force", () => entries("trust").some(({ version }) => version === 2));
  rmSync(file);
}, 120_000);

test("fenced is final until the owner and the operator both say otherwise", async () => {
  const [alice, mallory] = await begin();
  expect(scale(1).code).toBe(0);
  // Somebody enrols another machine with a token that should not have been made.
  const thief = w.newMachine("thief", w.newToken());
  writePolicy(thief, RULES, 2);
  const other = thief.startAgent();
  await w.until("the first agent is fenced", () => entries("fenced").length === 1, 60);
  await w.until("it has ended", () => ran("pgrep", "-f", `run --config ${w.config}`).stdout === "");
  const start = () => ran("timeout", "20", "env", "-i", REEVE, "run", "--config", w.config);
  const refused = start();
  expect([refused.code, refused.stderr.includes("fencing-1")]).toEqual([6, true]);
  // The operator alone is not enough, and a stranger is nobody.
  other.kill("SIGKILL");
  expect(w.vendor("unfence", "--cluster", "prod-eu-1", "--epoch", "1", "--why", "a stolen token").code).toBe(0);
  expect(start().code).toBe(6);
  place(w, "fencing-1", signature(mallory, messageFor(w, mallory, "fencing-1")));
  expect(start().code).toBe(6);
  const shown = approve(w, alice, "fencing-1");
  expect(shown.stdout).toContain("the agent of prod-eu-1, epoch 1, is fenced: approve that it may ask again");
  w.startAgent();
  await w.until("it is back", () => w.reeve(["status"], "--json").code === 0 && entries("unfenced").length === 1);
  expect(entries("unfenced")[0]?.person).toBe("alice");
  await w.until("and takes commands", () => scale(2).code === 0, 60);
  expect(w.pids().length).toBe(2);
  expect(w.reeve(["audit", "verify"], "--ca", w.root).code).toBe(11);
  // The same approval does not end another fencing.
  const again = w.newMachine("again", w.newToken());
  writePolicy(again, RULES, 2);
  again.startAgent();
  await w.until("it is fenced again", () => entries("fenced").length === 2, 60);
  await w.until("it has ended again", () => ran("pgrep", "-f", `run --config ${w.config}`).stdout === "");
  expect(start().code).toBe(6);
  expect(entriesFor(w, alice)).not.toBe("");
}, 180_000);

test("the owner alone is not enough: without the operator the agent is fenced again", async () => {
  const [alice] = await begin();
  const second = w.newMachine("second", w.newToken());
  writePolicy(second, RULES, 2);
  second.startAgent();
  await w.until("the first agent is fenced", () => entries("fenced").length === 1, 60);
  await w.until("it has ended", () => ran("pgrep", "-f", `run --config ${w.config}`).stdout === "");
  expect(approve(w, alice, "fencing-1").code).toBe(0);
  w.startAgent();
  await w.until("it is fenced again", () => entries("fenced").length === 2, 60);
  const kinds = entries().map(({ kind }) => kind);
  expect(kinds.slice(kinds.lastIndexOf("unfenced"))).not.toContain("intent");
}, 120_000);
