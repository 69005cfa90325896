import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import type { DnsArgs } from "../../policy/asked.ts";
import { localProvider } from "../../providers/local/local.ts";
import type { RecordState } from "../../providers/provider.ts";
import { GRANTED, type NameServer, proxy, startBind, TSIG_NAME, ZONE } from "./bind.ts";
import { act, type Command, errand, host, recall, removeAll, scratch, see } from "./world.ts";

const folder = scratch();
let bind: NameServer;
beforeAll(async () => {
  bind = await startBind(`${folder}/bind`);
}, 330_000);
afterAll(async () => {
  await bind.stop();
  removeAll([folder]);
});

type Wish = Partial<DnsArgs> & { readonly server?: string; readonly secret?: string; readonly key?: string };
function command(wish: Wish): Command<DnsArgs, RecordState> {
  const { server, secret, key, ...args } = wish;
  const tsig = { name: key ?? TSIG_NAME, algorithm: "hmac-sha256" as const, secret_file: secret ?? bind.secretFile };
  const zones = { [ZONE]: { server: server ?? bind.server, tsig } };
  const provider = localProvider({ host }, { groups: {}, authorities: {}, zones }, `${folder}/state`);
  const full: DnsArgs = {
    zone: ZONE,
    name: GRANTED,
    type: "A",
    change: "create",
    values: ["10.0.0.1"],
    ttl: 60,
    ...args,
  };
  return { action: provider["update-dns"], args: full, resource: `${full.zone}/${full.name}` };
}
const reset = () =>
  bind.byOther(
    `update delete ${GRANTED} A`,
    `update delete ${GRANTED} TXT`,
    `update delete ${GRANTED} AAAA`,
    `update delete alias.${ZONE}`,
  );

test("a record is created, replaced and deleted in BIND, and dig sees each", async () => {
  reset();
  expect(await act(command({ values: ["10.0.0.1", "10.0.0.2"] }))).toMatchObject({ result: "succeeded", code: null });
  expect(bind.dig(GRANTED, "A")).toEqual(["60 IN A 10.0.0.1", "60 IN A 10.0.0.2"]);
  const replaced = await act(command({ change: "replace", values: ["10.0.0.3"], ttl: 90 }));
  expect(replaced).toMatchObject({
    result: "succeeded",
    changed: [{ what: `${GRANTED} A`, from: "10.0.0.1 10.0.0.2 ttl 60", to: "10.0.0.3 ttl 90" }],
  });
  expect(replaced.operations.map(({ operation, status }) => `${operation} ${status}`)).toEqual([
    "dns.query ok",
    "dns.update ok",
    "dns.query ok",
  ]);
  expect(bind.dig(GRANTED, "A")).toEqual(["90 IN A 10.0.0.3"]);
  expect(await act(command({ change: "delete", values: [] }))).toMatchObject({ result: "succeeded" });
  expect(bind.dig(GRANTED, "A")).toEqual([]);
});

test.each([
  ["AAAA", GRANTED, "2001:db8::1", "60 IN AAAA 2001:db8::1"],
  ["AAAA", GRANTED, "2001:db8:0:1:0:0:0:1", "60 IN AAAA 2001:db8:0:1::1"],
  ["TXT", GRANTED, 'v=x "quoted" \\', '60 IN TXT "v=x \\"quoted\\" \\\\"'],
  ["TXT", GRANTED, "a".repeat(300), `60 IN TXT "${"a".repeat(255)}" "${"a".repeat(45)}"`],
  ["CNAME", `alias.${ZONE}`, "target.example.net", "60 IN CNAME target.example.net."],
] as const)("%s of %s: %s", async (type, name, value, shown) => {
  reset();
  const wanted = command({ type, name, values: [value] });
  expect(await act(wanted)).toMatchObject({ result: "succeeded" });
  expect(bind.dig(name, type)).toEqual([shown]);
  const { record } = await see(wanted);
  expect(await act(command({ type, name, change: "replace", values: record?.values ?? [], ttl: 61 }))).toMatchObject({
    result: "succeeded",
  });
});

test("a record that someone else changed after it was judged is not overwritten", async () => {
  reset();
  const wanted = command({ change: "replace", values: ["10.0.0.9"] });
  bind.byOther(`update add ${GRANTED} 60 A 10.0.0.1`);
  const judged = await see(wanted);
  bind.byOther(`update delete ${GRANTED} A`, `update add ${GRANTED} 60 A 10.6.6.6`);
  expect(await act(wanted, {}, errand(), judged)).toMatchObject({ result: "failed", code: "concurrent", changed: [] });
  expect(bind.dig(GRANTED, "A")).toEqual(["60 IN A 10.6.6.6"]);
});

test.each([
  ["replaced", "replace", ["update delete www.example.com A", "update add www.example.com 60 A 10.6.6.6"], "10.6.6.6"],
  ["created", "create", ["update add www.example.com 60 A 10.6.6.7"], "10.6.6.7"],
] as const)(
  "a record %s between our reading and our update makes the server refuse it",
  async (_, change, lines, stays) => {
    reset();
    if (change === "replace") bind.byOther(`update add ${GRANTED} 60 A 10.0.0.1`);
    const wanted = command({ change, values: ["10.0.0.9"] });
    // beforeChange is called right before the update's bytes leave: nothing of ours reads after it.
    const done = await act(wanted, { beforeChange: () => bind.byOther(...lines) });
    expect(done).toMatchObject({ result: "failed", code: "concurrent", changed: [] });
    expect(done.operations.at(-1)).toMatchObject({ operation: "dns.update", status: "concurrent" });
    expect(bind.dig(GRANTED, "A")).toEqual([`60 IN A ${stays}`]);
  },
);

test("BIND by itself refuses every other name and type with our key", async () => {
  reset();
  for (const wish of [
    { name: `other.${ZONE}`, change: "replace" as const },
    { name: `new.${ZONE}` },
    { name: ZONE },
    { type: "CNAME" as const, name: `free.${ZONE}`, values: ["x.example"] },
  ])
    expect(await act(command(wish))).toMatchObject({ result: "failed", code: "dns-refused", changed: [] });
  expect(bind.dig(`other.${ZONE}`, "A")).toEqual(["60 IN A 10.9.9.9"]);
});

test("a wrong secret, an unknown key name and a secret that others may read are refused", async () => {
  const describe = async (wish: Wish) => {
    const { action, args } = command(wish);
    const { gateFor } = await import("./world.ts");
    return action.describe(gateFor(action, args, `${args.zone}/${args.name}`, { phase: "read" }).gate, args, errand());
  };
  expect(await describe({ secret: bind.otherSecretFile })).toEqual({ unreadable: "tsig-missing" });
  expect(await describe({ key: "nobody" })).toEqual({ unreadable: "tsig-missing" });
  chmodSync(bind.otherSecretFile, 0o644);
  expect(await describe({ secret: bind.otherSecretFile })).toEqual({ unreadable: "key-permission" });
  chmodSync(bind.otherSecretFile, 0o600);
  expect(await describe({ name: "www.example.org" })).toHaveProperty("missing");
  expect(await describe({ zone: "nowhere.example", name: "a.nowhere.example" })).toHaveProperty("missing");
});

test("no byte of an answer can be changed unseen", async () => {
  reset();
  bind.byOther(`update add ${GRANTED} 60 A 10.0.0.1`);
  let length = 0;
  const plain = await proxy(bind.port, (answer) => {
    length = answer.length;
    return answer;
  });
  await see(command({ server: plain.server }));
  plain.stop();
  expect(length).toBeGreaterThan(100);
  let flip = 2;
  let passed = 0;
  const tampering = await proxy(bind.port, (answer) => {
    answer.writeUInt8(answer.readUInt8(flip) ^ 1, flip);
    return answer;
  });
  const wanted = command({ server: tampering.server });
  const seen: string[] = [];
  for (; flip < length; flip++) {
    const state = await see(wanted).catch((error: Error) => error.message);
    if (typeof state === "string") seen.push(state);
    else passed++;
  }
  tampering.stop();
  expect(passed).toBe(0);
  expect(seen.length).toBe(length - 2);
}, 60_000);

test("an answer without its TSIG, cut short, or of another request is refused", async () => {
  for (const change of [
    (answer: Buffer) => {
      // The same message without its last record, as a middlebox would strip it.
      const cut = Buffer.from(answer.subarray(0, answer.length - 10));
      cut.writeUInt16BE(cut.length - 2, 0);
      return cut;
    },
    (answer: Buffer) => {
      answer.writeUInt16BE(answer.readUInt16BE(2) ^ 1, 2);
      return answer;
    },
    (answer: Buffer) => {
      answer.writeUInt8(answer.readUInt8(4) | 2, 4);
      return answer;
    },
    () => null,
    () => Buffer.from([0xff, 0xff, 0]),
    (answer: Buffer) => Buffer.concat([answer, Buffer.from([0])]),
  ]) {
    const between = await proxy(bind.port, change);
    const error = await see(command({ server: between.server })).catch((caught: Error) => caught.message);
    expect(error).toMatch(/unreadable":"(?:dns-|tsig-)/);
    between.stop();
  }
});

test("an update whose answer was lost is looked up, not sent again: done but unheard is succeeded", async () => {
  reset();
  let updates = 0;
  const losing = await proxy(bind.port, (answer) => {
    const update = ((answer.readUInt8(4) >> 3) & 15) === 5;
    if (update) updates++;
    return update ? null : answer;
  });
  expect(await act(command({ server: losing.server, values: ["10.0.0.4"] }))).toMatchObject({ result: "succeeded" });
  losing.stop();
  expect(updates).toBe(1);
  expect(bind.dig(GRANTED, "A")).toEqual(["60 IN A 10.0.0.4"]);
});

test("an update that was heard by nobody afterwards is unknown", async () => {
  reset();
  const dying = await proxy(bind.port, (answer, nth) => (nth < 2 ? answer : null));
  expect(await act(command({ server: dying.server }))).toMatchObject({ result: "unknown" });
  dying.stop();
});

test("after a crash the record says what the update became", async () => {
  reset();
  const wanted = command({ values: ["10.0.0.5"] });
  const found = await see(wanted);
  expect(await recall(wanted, found)).toMatchObject({ result: "failed", code: "not-done", known_by: "state" });
  await act(wanted);
  expect(await recall(wanted, found)).toMatchObject({ result: "succeeded", known_by: "state" });
  bind.byOther(`update delete ${GRANTED} A`, `update add ${GRANTED} 60 A 10.6.6.6`);
  expect(await recall(wanted, found)).toMatchObject({ result: "unknown", code: "concurrent" });
});

test("when our clock is ten minutes off, the server says so under its signature, and nothing is taken from the answer", async () => {
  const wanted = command({});
  const clock = { ...host.clock, now: () => host.clock.now() + 600_000 };
  const tsig = { name: TSIG_NAME, algorithm: "hmac-sha256" as const, secret_file: bind.secretFile };
  const zones = { [ZONE]: { server: bind.server, tsig } };
  const provider = localProvider(
    { host: { ...host, clock } },
    { groups: {}, authorities: {}, zones },
    `${folder}/state`,
  );
  await expect(see({ ...wanted, action: provider["update-dns"] })).rejects.toThrow("tsig-error");
  // An old answer: the clock goes on between the request and it.
  let calls = 0;
  const late = { ...host.clock, now: () => host.clock.now() + (calls++ === 0 ? 0 : 600_000) };
  const slow = localProvider(
    { host: { ...host, clock: late } },
    { groups: {}, authorities: {}, zones },
    `${folder}/state`,
  );
  await expect(see({ ...wanted, action: slow["update-dns"] })).rejects.toThrow("tsig-time");
});

test("values that are none of their type, and a key or server of no form, are failures and end no process", async () => {
  reset();
  for (const wish of [
    { values: ["10.0.0.300"] },
    { values: [] },
    { type: "CNAME" as const, name: `alias.${ZONE}`, values: ["a.b", "c.d"] },
    { ttl: 2 ** 31 },
  ]) {
    expect(await act(command(wish))).toMatchObject({ result: "failed", code: "values" });
    expect(await recall(command(wish), { record: null })).toMatchObject({ result: "failed", code: "values" });
  }
  for (const wish of [{ key: "a..b" }, { server: "127.0.0.1:99999" }, { server: "127.0.0.1:0" }])
    await expect(see(command(wish))).rejects.toThrow("unreadable");
});
