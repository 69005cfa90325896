import "reflect-metadata";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { open } from "../../agent/wire/envelope.ts";
import { parse } from "../../agent/wire/parse.ts";
import { readFleet } from "../../control/fleet.ts";
import { cancel, readCommand, replay, send } from "../../control/send.ts";
import { askedOf, exitOf, resultOf, resultText } from "../../control/show.ts";
import { isRefusal } from "../../policy/refusal.ts";
import { type Agent, CLUSTER, enrolled, intent, outcome, refused, startWorld, type World } from "./client.ts";

let world: World;
let agent: Agent;
beforeEach(async () => {
  world = await startWorld(10);
  agent = await enrolled(world);
  await agent.report(0);
});
afterEach(() => world.end());

const ask = async (group: string, count = 3): Promise<string> =>
  (
    await send(
      world.store,
      {
        dir: world.dir,
        cluster: CLUSTER,
        asked: { action: "scale", args: { group, count } },
        by: "maria",
        why: "load",
        lifetime: 600,
        dryRun: false,
      },
      world.signer,
    )
  ).id;
const handed = async (more?: Record<string, unknown>): Promise<string[]> =>
  (await agent.poll(more)).body["commands"] as string[];
const stateOf = async (id: string): Promise<string> =>
  (await world.store.transaction((sql) => readCommand(sql, id))).state;
const alarms = async (): Promise<string[]> =>
  (await world.store.transaction(readFleet)).flatMap((one) => one.alarms.map((alarm) => alarm.kind));

test("what send queues is what an agent opens and parses", async () => {
  const id = await ask("brokers");
  const [jws] = await handed();
  const signed = await open(jws ?? "", new Map([[world.signer.kid, world.signer.x]]));
  if (isRefusal(signed)) throw new Error(signed.code);
  const command = parse(signed);
  if (isRefusal(command)) throw new Error(command.code);
  expect(command.claims.jti).toBe(id);
  expect(command.asked).toEqual({ action: "scale", args: { group: "brokers", count: 3 } });
});

test("a deploy is queued by the manifest's digest, on the same resource as the group's scaling", async () => {
  const manifest = `sha256:${"5".repeat(64)}`;
  const wish = { dir: world.dir, cluster: CLUSTER, by: "maria", why: "release", lifetime: 600, dryRun: false };
  const asked = { action: "deploy", args: { group: "g", manifest } } as const;
  const { id } = await send(world.store, { ...wish, asked }, world.signer);
  await ask("g");
  const jws = await handed();
  expect(jws).toHaveLength(1);
  const signed = await open(jws[0] ?? "", new Map([[world.signer.kid, world.signer.x]]));
  if (isRefusal(signed)) throw new Error(signed.code);
  const command = parse(signed);
  if (isRefusal(command)) throw new Error(command.code);
  expect([command.claims.jti, command.asked]).toEqual([id, asked]);
  for (const bad of [manifest.toUpperCase(), "5".repeat(64), `${manifest}0`, "release-1"])
    await expect(
      send(world.store, { ...wish, asked: { action: "deploy", args: { group: "g", manifest: bad } } }, world.signer),
    ).rejects.toThrow();
});

test("one command a resource is handed out, the next after the first has its outcome; others side by side", async () => {
  const [first, second, other] = [await ask("g"), await ask("g", 4), await ask("h")];
  const jws = await handed();
  expect(jws.length).toBe(2);
  expect(await stateOf(second)).toBe("queued");
  agent.append(intent(jws[0] ?? ""));
  expect((await agent.report(1)).body).toEqual({ next: 2 });
  expect(await stateOf(first)).toBe("intent");
  expect(await handed()).toEqual([]);
  agent.append(outcome(jws[0] ?? "", 1, "succeeded"));
  await agent.report(2);
  expect(await stateOf(first)).toBe("succeeded");
  expect((await handed()).length).toBe(1);
  expect([await stateOf(second), await stateOf(other)]).toEqual(["handed-out", "handed-out"]);
});

test("a command that no entry names is handed out again later, or to the next process at once", async () => {
  await ask("g");
  const first = await handed();
  expect(await handed()).toEqual([]);
  const next = { process: Bun.randomUUIDv7() };
  expect(await handed(next)).toEqual(first);
  // By time alone, in the middle of a poll of which nobody hears anything else.
  const [began, hold] = [performance.now(), 60];
  expect(await handed({ ...next, hold })).toEqual(first);
  expect(performance.now() - began).toBeLessThan((hold - 20) * 1000);
});

test("entries are taken once, in order, again if equal, and never changed", async () => {
  for (const why of ["a", "b", "c"]) agent.append({ kind: "stopped", why });
  expect((await agent.report(3)).body).toEqual({ next: 1 });
  expect((await agent.report(1)).body).toEqual({ next: 4 });
  expect((await agent.report(0)).body).toEqual({ next: 4 });
  agent.lines[2] = (agent.lines[2] ?? "").replace('"b"', '"x"');
  expect((await agent.report(0)).body["code"]).toBe("fenced");
  expect(await alarms()).toEqual(["copy", "log-changed"]);
});

test("entries come with a checkpoint of the log's key over exactly them", async () => {
  agent.append({ kind: "stopped", why: "a" });
  const body = { from: 1, entries: agent.lines.slice(1), proofs: null };
  const [note = "", name, signature = ""] = /^([\s\S]*\n— )(\S+) (\S+)\n$/.exec(agent.checkpoint(2))?.slice(1) ?? [];
  const bytes = Buffer.from(signature, "base64");
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  const spoilt = `${note}${name} ${bytes.toString("base64")}\n`;
  expect((await agent.post("/v1/reports", { ...body, checkpoint: spoilt })).body["code"]).toBe("malformed");
  expect((await agent.post("/v1/reports", { ...body, checkpoint: agent.checkpoint(1) })).body["code"]).toBe(
    "malformed",
  );
  const truth = agent.lines[1] ?? "";
  agent.lines[1] = truth.replace('"a"', '"x"');
  const lie = agent.checkpoint();
  expect((await agent.post("/v1/reports", { ...body, checkpoint: lie })).body["code"]).toBe("fenced");
  expect(await alarms()).toEqual(["copy", "log-forked"]);
  // Which of the two is the one that was enrolled nobody can tell: the truth is not heard either.
  agent.lines[1] = truth;
  expect((await agent.report(1)).body["code"]).toBe("fenced");
});

test("a checkpoint ahead of the entries is held against them when they come", async () => {
  agent.append({ kind: "stopped", why: "a" });
  agent.append({ kind: "stopped", why: "b" });
  expect((await agent.report(1, 2)).body).toEqual({ next: 2 });
  agent.lines[2] = (agent.lines[2] ?? "").replace('"b"', '"x"');
  agent.append({ kind: "stopped", why: "c" });
  expect((await agent.report(2)).body["code"]).toBe("fenced");
});

test("so is one that came with an empty report", async () => {
  agent.append({ kind: "stopped", why: "a" });
  expect((await agent.report(1)).body).toEqual({ next: 2 });
  agent.append({ kind: "stopped", why: "b" });
  const asked = { from: 2, entries: [], checkpoint: agent.checkpoint(), proofs: null };
  expect((await agent.post("/v1/reports", asked)).body).toEqual({ next: 2 });
  agent.lines[2] = (agent.lines[2] ?? "").replace('"b"', '"x"');
  expect((await agent.report(2)).body["code"]).toBe("fenced");
});

test("entries of another place, schema or spelling are refused", async () => {
  const good = JSON.stringify({
    cluster: CLUSTER,
    epoch: agent.epoch,
    index: 1,
    kind: "stopped",
    time: "2026-11-24T09:14:07.412Z",
    v: 1,
    why: "x",
  });
  for (const line of [
    good.replace('"index":1', '"index":7'),
    good.replace(CLUSTER, "other"),
    good.replace('"v":1', '"v":1,"w":1'),
    ` ${good}`,
    good.replace("{", '{"__proto__":{},'),
  ]) {
    agent.lines[1] = line;
    expect((await agent.report(1)).body["code"]).toBe("malformed");
  }
  agent.lines[1] = good;
  expect((await agent.report(1)).body).toEqual({ next: 2 });
});

test("a log whose entry 0 is not bound to our certificate is refused, and gets no command", async () => {
  const newer = await enrolled(world);
  const bad = newer.lines[0] ?? "";
  newer.lines[0] = bad.replace(/"signature":"[^"]{8}/, '"signature":"AAAAAAAA');
  expect((await newer.report(0)).body["code"]).toBe("malformed");
  await ask("g");
  expect((await newer.poll()).body["commands"]).toEqual([]);
});

test("cancel takes back what is queued, tells the agent of what was handed out, and leaves an intent alone", async () => {
  const queued = await ask("q");
  expect(await cancel(world.store, queued)).toBe("cancelled");
  const out = await ask("g");
  const [jws] = await handed();
  expect(await cancel(world.store, out)).toBe("asked");
  expect((await agent.poll()).body["cancel"]).toEqual([out]);
  agent.append(refused(jws ?? "", "verify.cancelled"));
  await agent.report(1);
  expect(await stateOf(out)).toBe("cancelled");
  const begun = await ask("h");
  agent.append(intent((await handed())[0] ?? ""));
  await agent.report(2);
  expect(cancel(world.store, begun)).rejects.toThrow("its intent is on record already");
});

test("a replay hands out the same bytes, and its refusal does not change what the command became", async () => {
  const id = await ask("g");
  const [jws] = await handed();
  agent.append(intent(jws ?? ""));
  agent.append(outcome(jws ?? "", 1, "succeeded"));
  await agent.report(1);
  await replay(world.store, id);
  expect(await handed()).toEqual([jws ?? ""]);
  expect(await handed()).toEqual([]);
  agent.append(refused(jws ?? "", "verify.replayed"));
  await agent.report(3);
  const row = await world.store.transaction((sql) => readCommand(sql, id));
  expect(row.state).toBe("succeeded");
  expect(row.replay_line).toContain("verify.replayed");
});

test("a refusal reads as it does everywhere, and others' control characters do not reach the terminal", async () => {
  const id = await ask("brokers", 12);
  const [jws] = await handed();
  agent.append({ ...refused(jws ?? "", "policy.count.above-max"), hint: "ask\u001b[31m less" });
  await agent.report(1);
  const row = await world.store.transaction((sql) => readCommand(sql, id));
  const result = resultOf(row);
  expect(exitOf(result)).toBe(1);
  expect(askedOf(row).action).toBe("scale");
  expect(resultText(row, result)).toBe(
    "error: Cannot scale brokers to 12: the customer's rule r allows at most 9.\n" +
      "  found 7   asked 12   limit count: { min: 3, max: 9 }   changed nothing   entry 1   code policy.count.above-max\n" +
      "hint: ask\\u{1b}[31m less\n",
  );
});

test("bytes that the agent refused are said with their own cause and what to do, not as a matter of keys", async () => {
  const id = await ask("brokers");
  const [jws = ""] = await handed();
  const digest = `sha256:${createHash("sha256").update(jws).digest("hex")}`;
  agent.append({ kind: "rejected", code: "parse.not-canonical", digest, bytes: jws.length });
  await agent.report(1);
  const row = await world.store.transaction((sql) => readCommand(sql, id));
  const text = resultText(row, resultOf(row));
  expect(text).toStartWith(
    "error: Cannot scale brokers to 3: the agent refused these bytes. The signed payload is not its own",
  );
  expect(text).toEndWith("code parse.not-canonical\nhint: Sign canonical JSON, as `reeve-control send` does.\n");
});

test("a held poll ends when a command is sent, and a standing word is said once", async () => {
  const begun = Date.now();
  const held = agent.poll({ hold: 10 });
  await new Promise((resolve) => setTimeout(resolve, 300));
  await ask("g");
  expect(((await held).body["commands"] as string[]).length).toBe(1);
  expect(Date.now() - begun).toBeLessThan(5000);
  const behind = { trust_version: 0, hold: 1 };
  expect(((await agent.poll({ ...behind, hold: 10 })).body["trust"] as string[]).length).toBe(1);
  const again = Date.now();
  await agent.poll(behind);
  expect(Date.now() - again).toBeGreaterThan(800);
});

test("a new epoch leaves what the older agent had in hand unknown, and never hands it on", async () => {
  const [inHand, waiting] = [await ask("g"), await ask("g")];
  await handed();
  const newer = await enrolled(world);
  await newer.report(0);
  expect([await stateOf(inHand), await stateOf(waiting)]).toEqual(["unknown", "expired"]);
  expect((await newer.poll()).body["commands"]).toEqual([]);
});

test("bad bodies are refused, and the server goes on", async () => {
  const deep = "[".repeat(40_000);
  for (const body of ["", "null", "{", deep, "\ud800", '{"process":1}', JSON.stringify({ a: "x".repeat(60_000) })]) {
    const answer = await agent.post("/v1/commands", body);
    expect([400, 413]).toContain(answer.status);
  }
  expect((await agent.post("/v1/commands", { a: "x".repeat(70_000) })).body["code"]).toBe("too-large");
  expect((await agent.post("/v1/nothing", {})).body["code"]).toBe("not-found");
  expect((await agent.post("/v1/witness", {})).body["code"]).toBe("malformed");
  expect((await agent.poll()).status).toBe(200);
});
