import { afterEach, beforeAll, expect, test } from "bun:test";
import type { ChildProcess } from "node:child_process";
import { copyFileSync, cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cosignerText } from "../../agent/audit/cosignature.ts";
import { verifierKey } from "../../agent/audit/note.ts";
import { CONTROL, ran, send, type World, world } from "../e2e/world.ts";
import { beside, counterpart, ended, started } from "./counterpart.ts";
import { linesIn, type Witness, witness } from "./world.ts";

/** The compiled agent with witnesses: ours, and transparency-dev's. */
beforeAll(() => {
  counterpart();
}, 580_000);

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
}, 60_000);

type Told = {
  state: string;
  reason: string;
  log: { size: number } | null;
  witnesses: { name: string; required: boolean; size: number; at: string | null; failing: null | { reason: string } }[];
};
const LONG = 90;

function told(w: World): Told {
  return JSON.parse(w.reeve(["status"], "--json").stdout) as Told;
}

/** A vendor, a machine, and one witness of ours that the config names. */
async function stage(
  required: boolean,
  config = "",
  secure = false,
): Promise<{ w: World; to: Witness; agent: ChildProcess }> {
  const w = await world({ config });
  ends.push(() => w.end());
  const to = witness(readFileSync(w.root, "utf8"));
  ends.push(() => to.end());
  // With TLS it shows a certificate by a root of its own, which the config names.
  await to.start(...(secure ? ["--name", "witness.customer.example/reeve"] : []));
  const roots = to.ready.ca === null ? {} : { ca: to.ready.ca };
  configure(w, { name: "ours", url: to.ready.url, key: to.ready.key, required, ...roots });
  const agent = w.startAgent();
  await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0, LONG);
  return { w, to, agent };
}

function configure(w: World, ...witnesses: Record<string, unknown>[]): void {
  const text = readFileSync(w.config, "utf8").replace(/^witnesses: .*\n/m, "");
  writeFileSync(w.config, `${text}witnesses: ${JSON.stringify(witnesses)}\n`);
}

const covered = (w: World, name: string): boolean => {
  const now = told(w);
  const one = now.witnesses.find((each) => each.name === name);
  return one?.failing === null && one.size === now.log?.size && one.size > 0;
};

test("each entry is cosigned by the witness and the control plane, with a receipt at the vendor's, and both are shown", async () => {
  const { w, to, agent } = await stage(false);
  expect(send(w, "scale", "--group", "brokers", "--count", "2").code).toBe(0);
  await w.until("both have cosigned all", () => covered(w, "ours") && covered(w, "the control plane"), LONG);
  const { size } = told(w).log ?? { size: 0 };
  expect(to.show().told).toMatchObject({ logs: [{ size, ended_by: null }], refused: [] });
  const fleet = JSON.parse(w.vendor("fleet", "--json").stdout) as {
    clusters: { entries: number; witnessed: { cosigned: { size: number }; receipts: number; missing: null } }[];
  };
  expect(fleet.clusters[0]).toMatchObject({
    entries: size,
    witnessed: { cosigned: { size }, receipts: size, missing: null },
  });
  const cosigned = readFileSync(join(w.state, "audit/cosigned"), "utf8");
  expect(cosigned).toContain(`\u2014 ${to.ready.name} `);
  expect(w.reeve(["status"]).stdout).toContain(`witness  ours: cosigned ${size} entries`);

  // The vendor's receipt proves an entry to whoever has the CA and the witness's key; both sides hold the same cosignatures.
  const index = String(size - 1);
  const receipt = w.vendor("fleet receipt", index, "--cluster", "prod-eu-1");
  expect(receipt).toMatchObject({ code: 0, stderr: "" });
  const proof = join(w.folder, "receipt.tlog-proof");
  writeFileSync(proof, receipt.stdout);
  const proven = (...more: string[]) => w.reeve(["audit", "verify"], "--proof", proof, "--ca", w.root, ...more).code;
  expect(proven("--witness", to.ready.key)).toBe(0);
  expect(proven()).toBe(11);
  const lines = receipt.stdout.split("\n").filter((line) => line.startsWith("\u2014 "));
  expect(lines).toHaveLength(3);
  for (const line of lines) expect(cosigned).toContain(line);
  writeFileSync(proof, receipt.stdout.replace(/\nindex \d+\n/, "\nindex 1\n"));
  expect(proven("--witness", to.ready.key)).toBe(13);
  expect(w.vendor("fleet receipt", "999999", "--cluster", "prod-eu-1").code).toBe(1);

  // What is on record after an orderly end is cosigned too, and `audit verify` says by whom.
  await ended(agent, "SIGTERM");
  const control = ran(CONTROL, "witness", "key", "--dir", join(w.data, "ca")).stdout.trim();
  const verified = (...more: string[]) => w.reeve(["audit", "verify"], "--ca", w.root, ...more);
  expect(verified("--witness", to.ready.key, "--control-witness", control)).toMatchObject({ code: 0 });
  // The control plane's covers what there was when it came, and cannot say what there was later.
  const { witnesses } = JSON.parse(verified("--control-witness", control, "--json").stdout) as {
    witnesses: { at: string }[];
  };
  const then = witnesses[0]?.at ?? "";
  expect(verified("--control-witness", control, "--as-of", then)).toMatchObject({ code: 10 });
  const later = new Date(Date.parse(then) + 1000).toISOString();
  expect(verified("--control-witness", control, "--as-of", later)).toMatchObject({ code: 11 });
  expect(verified("--control-witness", control)).toMatchObject({ code: 11 });
  expect(verified()).toMatchObject({ code: 11 });
}, 240_000);

test("a witness that dies stops nothing; back again, it is brought up to the newest head", async () => {
  const { w, to } = await stage(false, "", true);
  expect(to.ready.url).toStartWith("https://");
  await w.until("it has cosigned all", () => covered(w, "ours"), LONG);
  await to.stop("SIGKILL");
  expect(send(w, "scale", "--group", "brokers", "--count", "1").code).toBe(0);
  await w.until("status says that it is away", () => failing(w, "ours") === "connection-refused", LONG);
  expect(w.reeve(["status"]).code).toBe(0);
  // Another certificate, by a root that the config does not name, is no witness.
  const { ca } = to.ready;
  if (ca === null) throw new Error("it shows no certificate");
  renameSync(dirname(ca), `${dirname(ca)}-away`);
  await to.start("--name", "witness.customer.example/reeve");
  copyFileSync(join(`${dirname(ca)}-away`, "root.pem"), ca);
  await w.until("it is not taken for the witness", () => failing(w, "ours")?.startsWith("tls") === true, LONG);
  await to.stop("SIGKILL");
  rmSync(dirname(ca), { recursive: true });
  renameSync(`${dirname(ca)}-away`, dirname(ca));
  await to.start("--name", "witness.customer.example/reeve");
  await w.until("it has cosigned all again", () => covered(w, "ours"), LONG);
  expect(to.show()).toMatchObject({ code: 0, told: { refused: [] } });
}, 240_000);

test("while a required witness is away commands wait and none is refused; when it is back they run", async () => {
  const { w, to } = await stage(true);
  await w.until("it has cosigned all", () => covered(w, "ours"), LONG);
  await to.stop("SIGKILL");
  // The owner's hand makes an entry that the witness has not seen.
  rmSync(join(w.owner, "on"));
  await w.until("the agent is suspended", () => told(w).state === "suspended", LONG);
  writeFileSync(join(w.owner, "on"), "on\n", { mode: 0o644 });
  await w.until("the agent waits", () => told(w).state === "waiting", LONG);
  expect(w.reeve(["status"])).toMatchObject({ code: 1 });
  const sent = sending(w, "2");
  await w.until("the command is there", () => commands(w).length === 1, LONG);
  await w.until("the vendor sees why", () => w.vendor("fleet").stdout.includes("waiting for the witness ours"), LONG);
  // What comes now stays where it is: the agent says in each poll that it takes none.
  const later = queued(w);
  expect(later.code).toBe(0);
  const polled = lastSeen(w);
  await w.until("some more polls", () => lastSeen(w) > polled + 4, LONG);
  expect(commands(w).map(({ state }) => state)).toContain("queued");
  // The first may have been handed out by a poll that was held since before; begun by none.
  expect(commands(w).filter(({ state }) => state !== "queued" && state !== "handed-out")).toEqual([]);
  expect(w.entries().map(({ kind }) => kind)).not.toContain("intent");
  expect(w.pids()).toEqual([]);
  await to.start();
  expect((await sent).code).toBe(0);
  expect(w.pids()).toHaveLength(2);
  expect(w.entries().map(({ kind }) => kind)).not.toContain("refused");
}, 300_000);

test("a restored older copy of the state is refused by the witness, stops the agent, and is raised in fleet", async () => {
  const { w, to, agent } = await stage(false);
  await w.until("it has cosigned all", () => covered(w, "ours"), LONG);
  await ended(agent, "SIGTERM");
  cpSync(w.state, join(w.folder, "older"), { recursive: true });
  const again = w.startAgent();
  expect(send(w, "scale", "--group", "brokers", "--count", "1").code).toBe(0);
  await w.until("it has cosigned all", () => covered(w, "ours"), LONG);
  await ended(again, "SIGTERM");

  restore(w, "older");
  // The witness alone: the vendor's control plane is away.
  await w.stopControl("SIGKILL");
  expect(await exitOf(w.startAgent())).toBe(7);
  expect(told(w)).toMatchObject({
    state: "stopped",
    reason: expect.stringContaining("the witness ours contradicts this log"),
  });
  expect(to.show()).toMatchObject({ code: 1, told: { refused: [{ kind: "rolled-back" }] } });
  // And with it: whoever of the two says so first, the vendor hears of it.
  await w.startControl();
  expect([6, 7]).toContain((await exitOf(w.startAgent())) ?? -1);
  await w.until("fleet raises it", () => alarms(w).length > 0, LONG);
  expect(alarms(w).every((kind) => ["copy", "log-shorter", "log-forked", "witness-refused"].includes(kind))).toBe(true);
  expect(w.pids()).toHaveLength(1);
}, 300_000);

test("of two copies that diverge the second is refused as a fork, and the witness keeps the evidence", async () => {
  const { w, to, agent } = await stage(false);
  await w.until("it has cosigned all", () => covered(w, "ours"), LONG);
  await ended(agent, "SIGTERM");
  cpSync(w.state, join(w.folder, "copy"), { recursive: true });
  const again = w.startAgent();
  await w.until("the first goes on", () => covered(w, "ours"), LONG);
  const { size } = told(w).log ?? { size: 0 };
  await ended(again, "SIGTERM");

  restore(w, "copy");
  await w.stopControl("SIGKILL");
  await to.stop("SIGTERM");
  // Nobody watches the copy: it grows past what the witness has seen.
  while (linesOf(w) <= size) {
    const alone = w.startAgent();
    const before = linesOf(w);
    await w.until("the copy goes on by itself", () => linesOf(w) > before, LONG);
    await ended(alone, "SIGTERM");
  }
  await to.start();
  expect(await exitOf(w.startAgent())).toBe(7);
  expect(told(w).reason).toContain("that this log does not go on from");
  expect(to.show().told.refused).toMatchObject([{ kind: "forked" }]);
}, 300_000);

test("the log's key changes under a running agent and a running witness, and while the witness is away", async () => {
  const { w, to } = await stage(false, "log: { retention: 400d, segment: 6KiB, segment_age: 7d }\n");
  await w.until("it has cosigned all", () => covered(w, "ours"), LONG);
  const segments = (): number => readdirSync(join(w.state, "audit")).filter((name) => name.endsWith(".jsonl")).length;
  const grown = (to: number): void => {
    for (let n = 0; segments() < to && n < 20; n++)
      expect(send(w, "scale", "--group", "brokers", "--count", String(n % 2)).code).toBe(0);
    expect(segments()).toBeGreaterThanOrEqual(to);
  };
  grown(segments() + 1);
  await w.until("the new key's head is cosigned", () => covered(w, "ours") && covered(w, "the control plane"), LONG);
  await to.stop("SIGKILL");
  grown(segments() + 2);
  await to.start();
  await w.until("two keys later too", () => covered(w, "ours") && covered(w, "the control plane"), LONG);
  expect(to.show()).toMatchObject({ code: 0, told: { logs: [{ size: told(w).log?.size }], refused: [] } });
  expect(alarms(w)).toEqual([]);
}, 300_000);

test("a witness that was not written here cosigns the agent's heads, and independent programs verify them", async () => {
  const { w, agent } = await stage(false);
  await w.until("it has cosigned all", () => covered(w, "ours"), LONG);
  await ended(agent, "SIGTERM");
  const [first] = w.entries() as { origin: string; log_keys: { key: string }[] }[];
  const logKey = verifierKey(first?.origin ?? "", Buffer.from(first?.log_keys[0]?.key ?? "", "base64"));
  const theirs = await started<{ url: string; name: string; vkey: string }>(counterpart(), [
    "serve",
    "theirs.example/w",
    logKey,
  ]);
  ends.push(() => ended(theirs.child, "SIGKILL"));
  const publicKey = Buffer.from(theirs.said.vkey.split("+").slice(2).join("+"), "base64").subarray(1);
  const key = cosignerText({ name: theirs.said.name, publicKey });
  configure(w, { name: "theirs", url: theirs.said.url, key, required: true });
  w.startAgent();
  await w.until("it has cosigned all", () => covered(w, "theirs"), LONG);
  expect(send(w, "scale", "--group", "brokers", "--count", "1").code).toBe(0);
  await w.until("it has cosigned all again", () => covered(w, "theirs"), LONG);
  const notes = notesOf(w).filter((note) => note.includes(`\u2014 ${theirs.said.name} `));
  expect(notes.length).toBeGreaterThan(1);
  for (const note of notes.slice(-3)) {
    const done = await beside(counterpart(), ["check", logKey, key], note);
    expect(done).toMatchObject({ code: 0, stdout: `${first?.origin}\n${theirs.said.name}\n` });
  }
}, 300_000);

function failing(w: World, name: string): string | undefined {
  return told(w).witnesses.find((each) => each.name === name)?.failing?.reason;
}

function commands(w: World): { state: string }[] {
  return (
    JSON.parse(w.vendor("fleet commands", "--json", "--cluster", "prod-eu-1").stdout) as {
      commands: { state: string }[];
    }
  ).commands;
}

/** A command on another resource, without waiting for what becomes of it. */
function queued(w: World): ReturnType<World["vendor"]> {
  const who = ["--keys", w.keys, "--cluster", "prod-eu-1", "--by", "maria@vendor.example", "--why", "INC-2"];
  const record = ["--zone", "example.com", "--name", "a.brokers.example.com", "--type", "A", "--ttl", "60s"];
  return w.vendor("send", ...who, "update-dns", ...record, "--change", "create", "--value", "10.20.0.1");
}

function lastSeen(w: World): number {
  const shown = JSON.parse(w.vendor("fleet", "--json").stdout) as { clusters: { last_seen: number }[] };
  return shown.clusters[0]?.last_seen ?? 0;
}

function alarms(w: World): string[] {
  const shown = JSON.parse(w.vendor("fleet", "--json").stdout) as { clusters: { alarms: { kind: string }[] }[] };
  return shown.clusters.flatMap((one) => one.alarms.map(({ kind }) => kind));
}

/** `send --wait`, beside this process. */
function sending(w: World, count: string): ReturnType<typeof beside> {
  const who = ["--keys", w.keys, "--cluster", "prod-eu-1", "--by", "maria@vendor.example", "--why", "INC-1"];
  const what = ["--wait", "--json", "scale", "--group", "brokers", "--count", count];
  return beside(CONTROL, ["send", "--dir", w.data, ...who, ...what]);
}

function restore(w: World, name: string): void {
  rmSync(w.state, { recursive: true });
  cpSync(join(w.folder, name), w.state, { recursive: true });
}

async function exitOf(agent: ChildProcess): Promise<number | null> {
  if (agent.exitCode === null && agent.signalCode === null) await new Promise((resolve) => agent.once("exit", resolve));
  return agent.exitCode;
}

function linesOf(w: World): number {
  return linesIn(join(w.state, "audit")).length;
}

function notesOf(w: World): string[] {
  const parts = readFileSync(join(w.state, "audit/cosigned"), "utf8").split("\n\n");
  return parts.flatMap((text, at) => (at % 2 === 0 && at + 1 < parts.length ? [`${text}\n\n${parts[at + 1]}\n`] : []));
}
