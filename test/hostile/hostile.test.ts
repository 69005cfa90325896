import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { cosign } from "../../agent/audit/cosignature.ts";
import { checkpointText, parseCheckpoint, parseNote } from "../../agent/audit/note.ts";
import { ReportRequest, WitnessRequest } from "../../agent/wire/protocol.ts";
import { commandKey, jws, trustStatement } from "../identity/plane.ts";
import { type Actor, actor, command, idOf } from "./actor.ts";
import { madCommands, wordy } from "./mad.ts";
import { poisons } from "./poisons.ts";

/** A control plane that is all hostile and holds each of its keys, against the compiled agent: nothing beyond the policy, and bounded. */
const MAX_MEMORY_MB = 150;
const MAX_LOG_BYTES_A_DAY = 30 * 1024 * 1024;
let a: Actor;
let before = "";
beforeAll(async () => {
  a = await actor();
  before = a.world();
}, 120_000);
afterAll(async () => {
  await a?.end();
}, 60_000);

const digest = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;
/** Hands them out until each is on record, as nobody takes more than it has room for; the code of its first entry by digest. */
async function decided(texts: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const wanted = new Set(texts.map(digest));
  const missing = (): string[] => texts.filter((text) => !found.has(digest(text)));
  const end = Date.now() + 60_000;
  while (missing().length > 0) {
    if (Date.now() > end)
      throw new Error(
        `not on record: ${missing()
          .map((text) => text.slice(0, 400))
          .join("\n")}`,
      );
    a.hand(missing().slice(0, 8));
    await a.until("it was heard", () => a.waiting() === 0);
    for (const one of await a.entries()) {
      const of = String(one["digest"]);
      if (wanted.has(of) && typeof one.code === "string" && !found.has(of)) found.set(of, one.code);
    }
  }
  return found;
}
/** Hands commands out, again and again, until the log has an entry of these kinds for each. */
async function handed(texts: readonly string[], kinds: readonly string[]): Promise<void> {
  await a.until(`each has one of ${kinds.join(", ")}`, async () => {
    const all = (await a.entries()).filter(({ kind }) => kinds.includes(kind)).map(({ command }) => command);
    const missing = texts.filter((text) => !all.includes(idOf(text)));
    if (missing.length > 0 && a.waiting() === 0) a.hand(missing.slice(0, 8), [...missing].reverse().slice(0, 8));
    return missing.length === 0;
  });
}
async function unharmed(): Promise<void> {
  expect(a.exit()).toBeNull();
  expect(a.world()).toBe(before);
  expect(await a.processes()).toBeLessThanOrEqual(2);
  expect(a.peak()).toBeLessThan(MAX_MEMORY_MB);
}

test("the first statement is taken because the config pins its key; without it nothing is read", async () => {
  const early = command(a.plane.first);
  expect([...(await decided([early])).values()]).toEqual(["open.key"]);
  a.trust = a.statements;
  await a.until("the statement is in force", async () => (await a.entries()).some(({ kind }) => kind === "trust"));
  a.trust = [];
}, 120_000);

test("mad commands under its own good key are refused, each by its own code", async () => {
  const mad = madCommands(a.plane.first);
  const codes = await decided(mad.map(({ text }) => text));
  expect(mad.map(({ text }) => codes.get(digest(text)))).toEqual(mad.map(({ code }) => code));
  expect((await a.entries()).filter(({ kind }) => kind === "intent")).toEqual([]);
  await unharmed();
}, 240_000);

test("contradictions on one group: two changes a day and two processes are all that the policy gives, however it is asked", async () => {
  const asks = Array.from({ length: 8 }, (_, at) =>
    command(a.plane.first, { args: { group: "brokers", count: at % 2 === 0 ? 1 : 2 } }),
  );
  await handed(asks, ["outcome", "refused"]);
  const sameId = command(a.plane.first, { jti: idOf(asks[0] ?? ""), args: { group: "brokers", count: 0 } });
  expect([...(await decided([sameId])).values()]).toEqual(["verify.id-reused"]);
  const intents = (await a.entries()).filter(({ kind }) => kind === "intent");
  expect(intents.length).toBe(2);
  expect(new Set(intents.map(({ command }) => command)).size).toBe(2);
  await unharmed();
}, 240_000);

test("commands that wait for people: sixteen at most, however often they are taken back and sent anew; none acts", async () => {
  for (let round = 0; round < 3; round++) {
    const asks = Array.from({ length: 8 }, (_, at) => {
      const name = `b${round}-${at}.brokers.example.com`;
      const args = { zone: "example.com", name, type: "A", change: "create", values: ["10.20.0.1"], ttl: 60 };
      return command(a.plane.first, { action: "update-dns", args });
    });
    await handed(asks, ["waiting", "refused"]);
    expect((await a.status()).waiting.length).toBeLessThanOrEqual(16);
  }
  a.cancel = (await a.status()).waiting.map(({ id }) => id);
  await a.until("none waits", async () => (await a.status()).waiting.length === 0);
  a.cancel = [];
  await unharmed();
}, 240_000);

test("forged trust: other signers, versions, clusters and floods of good ones leave the keys as they are and little on record", async () => {
  const [first, other] = [a.plane.first, commandKey("cmd-9")];
  const roots = [a.plane.ca.der];
  const size = a.logBytes();
  const statements = [
    [trustStatement(2, other, [other], roots)],
    [trustStatement(3, first, [other], roots)],
    [trustStatement(1, first, [other], roots)],
    [jws({ alg: "none", typ: "reeve-trust+jwt" }, {}, other.privateKey)],
    ...Array.from({ length: 12 }, (_, at) => [trustStatement(2, first, [commandKey(`cmd-${at}`)], roots)]),
  ];
  for (const some of statements) {
    a.trust = some;
    const polls = a.polls;
    await a.until("it was heard", () => a.polls > polls + 1);
  }
  a.trust = [];
  const all = await a.entries();
  expect(all.filter(({ kind }) => kind === "trust").length).toBe(1);
  expect(all.filter(({ kind }) => kind === "trust-waiting").length).toBe(2);
  expect(all.filter(({ kind }) => kind === "trust-refused").length).toBe(4);
  expect(a.logBytes() - size).toBeLessThan(16 * 1024);
  const by = command(other);
  expect([...(await decided([by])).values()]).toEqual(["open.key"]);
  expect((await a.status()).refused.trust).toBe(4);
  await unharmed();
}, 240_000);

test("cosignatures of another history, by another key, or of an older head are not kept: two histories never look like one", async () => {
  const [key, other] = [a.witness.privateKey, commandKey("cp-1").privateKey];
  // No time at which an honest one would have signed: each lie is a line that is nobody else's.
  const now = 1_700_000_000;
  let older = "";
  let told = 0;
  const said: string[] = [];
  a.poison.set("/v1/witness", (body) => {
    const { checkpoint } = WitnessRequest.parse(JSON.parse(body));
    const text = parseNote(checkpoint)?.text ?? "";
    const head = parseCheckpoint(checkpoint);
    if (head === null) throw new Error("a checkpoint that cannot be read");
    older ||= text;
    const root = Buffer.alloc(32, told);
    const forked = checkpointText({ ...head, root });
    const lies = [cosign(forked, "cp-1", key, now), cosign(text, "cp-1", other, now)];
    // The first head is as good as the newest until there is a newer one.
    if (older !== text) lies.push(cosign(older, "cp-1", key, now));
    const line = lies[told++ % lies.length] ?? "";
    said.push(line);
    return { status: 200, body: { cosignature: line, receipts: 1_000_000 } };
  });
  const next = (): string => command(a.plane.first, { epoch: 9 });
  for (let round = 0; told < 3; round++) {
    await decided([next()]);
    await Bun.sleep(50);
    if (round > 600) throw new Error("the control plane was not asked to cosign");
  }
  a.poison.delete("/v1/witness");
  const kept = existsSync(a.path("state/audit/cosigned")) ? readFileSync(a.path("state/audit/cosigned"), "utf8") : "";
  // What was signed of this history before is there, so that this looks at something.
  expect(kept).toContain("cp-1");
  for (const line of said) expect(kept).not.toContain(line.split(" ")[2]?.trim());
  await unharmed();
}, 240_000);

test("poisoned answers at each endpoint are none: nothing is begun, nothing breaks, and a good answer after each is taken", async () => {
  const all = poisons();
  for (const path of ["/v1/commands", "/v1/reports", "/v1/witness", "/v1/shared"]) {
    let given = 0;
    let bad = false;
    a.poison.set(path, () => {
      bad = !bad;
      return bad ? (all[given++ % all.length] ?? null) : null;
    });
  }
  let polls = 0;
  const commands = a.poison.get("/v1/commands");
  a.poison.set("/v1/commands", (body) => {
    polls++;
    return commands?.(body) ?? null;
  });
  const refused = (await a.status()).refused.commands;
  await a.until("each was an answer to a poll", () => polls >= 2 * all.length, 300);
  a.poison.clear();
  await a.until("there is contact", async () => (await a.status()).out_of_contact === null);
  expect((await a.status()).refused.commands).toBe(refused);
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  expect(a.said()).not.toContain("\u001b");
  await unharmed();
}, 400_000);

test("asked for all of its entries again and again, the agent answers, but not as fast as it is asked", async () => {
  let asked = 0;
  let rounds = 0;
  a.poison.set("/v1/reports", (body) => {
    asked++;
    const { from, entries } = ReportRequest.parse(JSON.parse(body));
    // As one that forgot everything each time it has all of it.
    if (from + entries.length >= a.reported) rounds++;
    return { status: 200, body: { next: from + entries.length >= a.reported ? 0 : from + entries.length } };
  });
  const polls = a.polls;
  const bad = command(commandKey("cmd-9"));
  a.hand([bad]);
  await a.until("it asked for them thrice", () => rounds >= 3);
  a.poison.clear();
  await a.until("there is contact", async () => a.polls > polls && (await a.status()).out_of_contact === null);
  // Each round is every entry once, 200 in a request: without a pause there would be thousands.
  expect(asked).toBeLessThan(100);
  await unharmed();
}, 240_000);

test("a flood of refusals, each as long as it can be made: the hour's intake ends it, and a day of it stays within 30 MB of log", async () => {
  // Long ones and short ones in each answer: the hour is over by their bytes before it is by their number.
  const some = (): string[] =>
    Array.from({ length: 16 }, (_, at) => (at % 4 === 0 ? command(a.plane.first, { epoch: 9 }) : wordy(a.plane.first)));
  await a.until(
    "the hour's intake is full",
    async () => {
      if (a.waiting() < 4) a.hand(some(), some(), some(), some());
      return (await a.status()).intake.full;
    },
    300,
  );
  const status = await a.status();
  const polls = a.polls;
  await a.until("it goes on asking for nothing", () => a.polls > polls + 3);
  expect((await a.status()).intake).toEqual(status.intake);
  // All that this control plane has done so far lies within one hour, and within one log.
  const perDay = a.logBytes() * 24;
  const { commands } = status.refused;
  console.log(
    `      ${commands} refused, ${Math.round(a.logBytes() / commands)} bytes of log for each, ${(perDay / 1024 / 1024).toFixed(1)} MB a day at most; peak ${Math.round(a.peak())} MB`,
  );
  expect(status.intake.taken).toBeLessThanOrEqual(600);
  expect(status.intake.taken).toBeGreaterThan(100);
  expect(perDay).toBeLessThan(MAX_LOG_BYTES_A_DAY);
  const shown = (await a.reeve("status")).stdout;
  expect(shown).toMatch(/^intake +\d+ of 600 commands in the last hour: no more are asked for/m);
  expect(shown).toMatch(/^refused +\d+ commands, \d+ of them unreadable or by no key of ours, 4 trust statements/m);
  await unharmed();
}, 400_000);

test("said that it handed in more than it has, or fenced, the agent stops, says so in status, and the log is whole", async () => {
  a.poison.set("/v1/reports", () => ({ status: 200, body: { next: 1_000_000_000 } }));
  a.poison.set("/v1/commands", () => ({ status: 500, body: "" }));
  const pid = a.pid();
  // The next report is the one after the next entry: the owner makes one.
  await a.reeve("suspend");
  await a.until("it stops", () => a.exit() !== null);
  expect(a.exit()).toBe(7);
  expect(await a.status()).toMatchObject({ state: "stopped", reason: expect.stringContaining("1000000000") });
  a.poison.clear();
  await a.reeve("resume");
  a.start();
  expect(a.pid()).not.toBe(pid);
  await a.until("it is ready again", async () => (await a.reeve("status")).code === 0);
  a.poison.set("/v1/commands", () => ({ status: 403, body: { code: "fenced", message: "\u001b[31mgo away" } }));
  await a.until("it stops", () => a.exit() !== null);
  expect(a.exit()).toBe(6);
  const status = await a.status();
  expect(status.state).toBe("fenced");
  expect(status.reason).not.toContain("\u001b");
  expect((await a.reeve("audit", "verify", "--ca", a.path("root.pem"))).code).toBe(11);
  expect(a.world().replace(/on( |\n)/, "$1")).toBe(before.replace(/on( |\n)/, "$1"));
  expect(await a.processes()).toBeLessThanOrEqual(2);
}, 240_000);
