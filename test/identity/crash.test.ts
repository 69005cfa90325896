import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { isEnrolmentFault } from "../../agent/identity/fault.ts";
import type { Identity } from "../../agent/identity/identity.ts";
import { ReportAnswer } from "../../agent/wire/protocol.ts";
import { HOUR, sha256 } from "./plane.ts";
import { enrolled, Fate, Killed, makeWorld, type World } from "./world.ts";

const report = (identity: Identity) =>
  identity.session.post("/v1/reports", { from: 0 }, ReportAnswer, { timeoutSeconds: 5 });

/** Runs until killed; what is left is what the disk holds. */
async function untilKilled(run: () => Promise<unknown>): Promise<boolean> {
  try {
    await run();
    return false;
  } catch (error) {
    if (error instanceof Killed) return true;
    throw error;
  }
}

async function within<T>(act: (world: World) => Promise<T>): Promise<T> {
  const world = await makeWorld();
  try {
    return await act(world);
  } finally {
    world.end();
  }
}

/** How many effects an undisturbed run has: the test finds its own points. */
async function effects(
  prepare: (world: World) => Promise<unknown>,
  run: (world: World, fate: Fate) => Promise<unknown>,
): Promise<number> {
  return within(async (world) => {
    await prepare(world);
    const fate = new Fate(Number.POSITIVE_INFINITY, "before");
    await run(world, fate);
    return fate.count;
  });
}

const enrol = async (world: World, fate: Fate) => {
  const result = await world.start({ fate });
  if (isEnrolmentFault(result)) throw new Error(result.message);
};

test("killed at any write or send of an enrolment, the agent ends enrolled with one key", async () => {
  const count = await effects((world) => world.placeToken(), enrol);
  // state, identity, pin, connect, nonce, pending, sent, send, root, agent, pending's and token's removal
  expect(count).toBe(12);
  for (let at = 1; at <= count; at++) {
    for (const when of ["before", "after"] as const) {
      await within(async (world) => {
        await world.placeToken();
        expect(await untilKilled(() => enrol(world, new Fate(at, when)))).toBe(true);
        const identity = enrolled(await world.start());
        expect(await report(identity)).toEqual({ ok: { next: 7 } });
        expect(world.plane.enrolKeys.size).toBe(1);
        expect(world.plane.thefts).toBe(0);
        expect(existsSync(world.tokenFile)).toBe(false);
        expect(existsSync(`${world.identityFolder}/pending.json`)).toBe(false);
      });
    }
  }
}, 60_000);

const join = async (world: World) => {
  await world.placeToken();
  const identity = enrolled(await world.start());
  expect(await report(identity)).toHaveProperty("ok");
  identity.session.close();
};
const renewing = (hours: number) => async (world: World, fate: Fate) => {
  const identity = enrolled(await world.start({ fate }));
  world.pass(hours * HOUR);
  const renewal = await identity.renewIfDue();
  expect(renewal).toHaveProperty("renewed");
  expect(await report(identity)).toHaveProperty("ok");
};

for (const [what, hours, least] of [
  ["a renewal", 20, 7],
  ["a renewal within the grace", 30, 8],
] as const) {
  test(`killed at any write or send of ${what}, nothing looks like a copy and nobody is locked out`, async () => {
    const run = renewing(hours);
    const count = await effects(join, run);
    expect(count).toBeGreaterThanOrEqual(least);
    for (let at = 1; at <= count; at++) {
      for (const when of ["before", "after"] as const) {
        await within(async (world) => {
          await join(world);
          expect(await untilKilled(() => run(world, new Fate(at, when)))).toBe(true);
          const identity = enrolled(await world.start());
          const renewal = await identity.renewIfDue();
          expect("renewed" in renewal || "notDue" in renewal).toBe(true);
          expect(await report(identity)).toEqual({ ok: { next: 7 } });
          expect(world.plane.copies).toBe(0);
          expect(world.plane.renewKeys.size).toBe(1);
          expect(world.plane.presented.at(-1)).toBe(sha256(Buffer.from(identity.chain()[0] ?? "", "base64")));
        });
      }
    }
  }, 60_000);
}
