import { expect, test } from "bun:test";
import { inventorist, isDue, type Told, wantedNow } from "../../agent/inventory.ts";
import { INVENTORY_SECONDS } from "../../agent/limits.ts";
import type { Contact } from "../../agent/poll.ts";
import type { Road } from "../../agent/road.ts";
import { SharedInventory } from "../../agent/wire/protocol.ts";
import { ELSEWHERE, HERE, MEANT } from "./here.ts";

const D = (n: number): string => `sha256:${String(n).repeat(64)}`;
const wanted = { policy: D(1), groups: ["a"] };
const told = (more: Partial<NonNullable<Told>> = {}): Told => ({
  policy: D(1),
  outcomes: 3,
  at: 0,
  taken: true,
  ...more,
});

test("nothing is said while nothing is shared, and what was never said is never taken back", () => {
  expect(isDue(null, null, 3, 0)).toBe(false);
  expect(isDue(null, told(), 3, 0)).toBe(true);
});

test("it is said at the start, until it is taken, for another policy, after an outcome, and each hour", () => {
  expect(isDue(wanted, null, 3, 0)).toBe(true);
  expect(isDue(wanted, told(), 3, INVENTORY_SECONDS * 1000 - 1)).toBe(false);
  expect(isDue(wanted, told(), 3, INVENTORY_SECONDS * 1000)).toBe(true);
  expect(isDue(wanted, told({ taken: false }), 3, 0)).toBe(true);
  expect(isDue(wanted, told({ policy: D(2) }), 3, 0)).toBe(true);
  expect(isDue(wanted, told(), 4, 0)).toBe(true);
});

type Answer = { ok: object } | { fault: "conflict" | "not-found"; message: string } | { unreachable: string };
function world(answers: Answer[]) {
  const stop = new AbortController();
  const time = { now: 0 };
  const state = {
    policy: D(1),
    recorded: D(1),
    share: ["manifest"],
    suspended: null as string | null,
    outcomes: 0,
    meant: {},
  };
  const sent: SharedInventory[] = [];
  const read: string[] = [];
  const host = {
    clock: {
      now: () => 0,
      monotonic: () => time.now,
      sleep: () => Bun.sleep(1),
    },
    random: { bytes: () => new Uint8Array([0]), uuidv7: () => "" },
  };
  const rules = [
    { allow: "deploy", group: "b" },
    { allow: "scale", group: "c" },
    { allow: "deploy", group: "a" },
    { allow: "deploy", group: "a" },
  ];
  const road = {
    ...HERE,
    log: {
      get memory() {
        const counts = new Map([["outcome", state.outcomes]]);
        return { policy: { digest: state.recorded, revision: 1, code: null }, counts };
      },
    },
    suspended: () => state.suspended,
    readPolicy: () => ({ digest: state.policy, policy: { ...MEANT, ...state.meant, share: state.share, rules } }),
  } as unknown as Road;
  const to = {
    host,
    stop: stop.signal,
    say: () => undefined,
    async post(path: string, body: unknown) {
      expect(path).toBe("/v1/shared");
      sent.push(SharedInventory.parse(body));
      return answers.shift() ?? { ok: {} };
    },
  } as unknown as Contact;
  const onRead = { now: (): void => undefined };
  const loop = inventorist(to, road, { flushed: async () => undefined }, async (group) => {
    read.push(group);
    onRead.now();
    return group === "b" ? null : { group, image: "ami-1", count: 3, healthy: 3 };
  });
  return { state, sent, read, loop, stop, road, onRead, time };
}
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

test("only groups of deploy rules are read, once each; one that cannot be read is left out; what was read is sent until it is taken", async () => {
  const { state, sent, read, loop, stop } = world([{ unreachable: "refused" }, { fault: "conflict", message: "" }]);
  const running = loop.run();
  for (let look = 0; look < 100 && sent.length < 3; look++) await settle();
  expect(read).toEqual(["a", "b"]);
  expect(sent.at(-1)).toEqual({
    kind: "inventory",
    policy: D(1),
    groups: [{ group: "a", image: "ami-1", count: 3, healthy: 3 }],
  });
  expect(sent.length).toBe(3);
  loop.wake();
  await settle();
  expect(sent.length).toBe(3);
  state.outcomes = 1;
  loop.wake();
  await settle();
  expect(sent.length).toBe(4);
  expect(read).toEqual(["a", "b", "a", "b"]);
  state.share = ["policy"];
  [state.policy, state.recorded] = [D(2), D(2)];
  loop.wake();
  await settle();
  expect(sent.slice(4)).toEqual([{ kind: "inventory", policy: D(1), groups: null }]);
  stop.abort();
  await running;
});

test("a control plane that never takes it has the groups read once an occasion, however often it is asked", async () => {
  const answers: Answer[] = Array.from({ length: 200 }, () => ({ fault: "conflict", message: "" }));
  const { state, sent, read, loop, stop, time } = world(answers);
  const running = loop.run();
  const said = async (): Promise<void> => {
    const before = sent.length;
    for (let look = 0; look < 100 && sent.length < before + 10; look++) await settle();
    expect(sent.length).toBeGreaterThanOrEqual(before + 10);
  };
  await said();
  expect(read).toEqual(["a", "b"]);
  expect(new Set(sent.map((one) => JSON.stringify(one))).size).toBe(1);
  state.outcomes = 1;
  await said();
  expect(read).toEqual(["a", "b", "a", "b"]);
  time.now = INVENTORY_SECONDS * 1000;
  await said();
  expect(read).toEqual(["a", "b", "a", "b", "a", "b"]);
  [state.policy, state.recorded] = [D(2), D(2)];
  await said();
  expect(read).toHaveLength(8);
  expect(sent.at(-1)?.policy).toBe(D(2));
  stop.abort();
  await running;
});

test("a policy that does not share it has nothing read and nothing sent; neither has one that is not on record, one for elsewhere, nor a switch that is off", async () => {
  const elsewhere = ELSEWHERE.map(([, meant]) => ({ meant }));
  for (const change of [{ share: ["policy"] }, { recorded: D(3) }, { suspended: "the switch is off" }, ...elsewhere]) {
    const { state, sent, read, loop, stop } = world([]);
    Object.assign(state, change);
    const running = loop.run();
    await settle();
    loop.wake();
    await settle();
    expect([sent, read]).toEqual([[], []]);
    stop.abort();
    await running;
  }
});

test("what was read does not leave when the policy stops sharing it meanwhile", async () => {
  const { state, sent, read, loop, stop, onRead } = world([]);
  onRead.now = () => {
    state.share = [];
  };
  const running = loop.run();
  await settle();
  expect(read.length).toBeGreaterThan(0);
  expect(sent).toEqual([]);
  stop.abort();
  await running;
});

test("a control plane that does not know the call is left alone", async () => {
  const { state, sent, loop } = world([{ fault: "not-found", message: "" }]);
  await loop.run();
  expect(sent.length).toBe(1);
  expect(wantedNow(world([]).road)).toEqual({ policy: D(1), groups: ["a", "b"] });
  expect(state.share).toEqual(["manifest"]);
});
