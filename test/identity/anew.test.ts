/** An agent past its grace enrols anew by its platform: what it has accepted of the vendor's keys goes along, whatever the control plane says then. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Identity } from "../../agent/identity/identity.ts";
import { type CommandKey, commandKey, HOUR, trustStatement } from "./plane.ts";
import { enrolled, faulted, makeWorld, type World } from "./world.ts";

const PAST_GRACE = 9 * 24 * HOUR;
let world: World;
let second: CommandKey;
/** Drops the first key. */
let v2: string;
beforeEach(async () => {
  world = await makeWorld();
  second = commandKey("cmd-2");
  v2 = by(2, world.plane.first, second);
});
afterEach(() => world.end());

const by = (version: number, signer: CommandKey, key: CommandKey): string =>
  trustStatement(version, signer, [key], [world.plane.ca.der]);
const prove = async () =>
  ({
    platform: "aws",
    region: "eu-west-1",
    date: "20261129T041500Z",
    session: "session",
    authorization: "signed",
  }) as const;
const stored = (): { epoch: number; trust: string[] } =>
  JSON.parse(readFileSync(join(world.identityFolder, "agent.json"), "utf8"));
const keys = (identity: Identity): string[] => [...identity.commandKeys().keys()];

/** It has joined, its owner has approved version 2, and it was off for nine days. */
async function longOff(): Promise<void> {
  await world.placeToken();
  const identity = enrolled(await world.start());
  expect((await identity.acceptTrust([v2], () => true)).accepted.length).toBe(1);
  identity.session.close();
  pass();
}
function pass(): void {
  world.pass(PAST_GRACE);
  world.plane.script = (path) =>
    path === "/v1/renew" ? { status: 403, body: { code: "expired", message: "past its grace" } } : null;
}
const again = () => world.start({ prove });

test("with the statements that it has accepted it goes on as the next epoch", async () => {
  await longOff();
  world.plane.trust.push(v2);
  const identity = enrolled(await again());
  expect([identity.epoch, identity.trustVersion(), keys(identity)]).toEqual([2, 2, ["cmd-2"]]);
});

test("a later statement, which nobody has approved, is not in force by that: it comes with the polls, and waits for the owner", async () => {
  await longOff();
  const third = commandKey("cmd-3");
  const v3 = by(3, second, third);
  world.plane.trust.push(v2, v3);
  const identity = enrolled(await again());
  expect([identity.epoch, identity.trustVersion(), keys(identity)]).toEqual([2, 2, ["cmd-2"]]);
  expect(stored().trust).toEqual(world.plane.trust.slice(0, 2));
  const asked: number[] = [];
  const answer = await identity.acceptTrust([v3], ({ version }) => asked.push(version) === 0);
  expect([answer.accepted, asked, identity.trustVersion()]).toEqual([[], [3], 2]);
  expect((await identity.acceptTrust([v3], () => true)).accepted.map(({ version }) => version)).toEqual([3]);
});

const LIES: Record<string, () => string[]> = {
  "without the newest, so that a dropped key would sign again": () => [],
  "with another second one, signed by the key that was dropped": () => [by(2, world.plane.first, commandKey("cmd-x"))],
  "with another in between": () => [by(2, world.plane.first, world.plane.first), by(3, world.plane.first, second)],
};
for (const [how, later] of Object.entries(LIES)) {
  test(`a chain of statements ${how}, is refused, and nothing of it is kept`, async () => {
    await longOff();
    world.plane.trust.push(...later());
    const before = stored();
    expect(faulted(await again())).toMatchObject({
      fault: "trust",
      exit: 6,
      message: expect.stringContaining("do not begin with the 2 that this agent has accepted"),
    });
    expect(stored()).toEqual(before);
  });
}

test("an answer without any statement is refused too, by one that has some", async () => {
  await longOff();
  world.plane.trust = [];
  expect(faulted(await again()).fault).toBe("trust");
});

test("who had no statement yet takes the first by the pin, with the polls", async () => {
  const first = world.plane.trust.pop() ?? "";
  await world.placeToken();
  enrolled(await world.start()).session.close();
  pass();
  world.plane.trust.push(first, v2);
  const identity = enrolled(await again());
  expect([identity.epoch, identity.trustVersion()]).toEqual([2, 0]);
  expect((await identity.acceptTrust(world.plane.trust, () => false)).accepted.map(({ version }) => version)).toEqual([
    1,
  ]);
});
