/** Whether a machine joined by a token that somebody placed within the day: what the control plane says of it counts for nothing (since.ts). */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { isEnrolmentFault } from "../../agent/identity/fault.ts";
import { joiningBy } from "../../agent/identity/joining.ts";
import { HOUR, pinOf, sha256 } from "./plane.ts";
import { enrolled, makeWorld, type World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());

const prove = async () =>
  ({
    platform: "aws",
    region: "eu-west-1",
    date: "20261129T041500Z",
    session: "session",
    authorization: "signed",
  }) as const;
const withRoot = () =>
  world.config({
    control_plane: {
      enrol: world.plane.url,
      trust_sha256: pinOf(world.plane.first),
      root_sha256: sha256(world.plane.ca.der),
    },
  });

test("who joins by a token is known to have, also after a restart and when the token has long expired", async () => {
  await world.placeToken();
  const first = enrolled(await world.start());
  expect([first.epoch, first.byToken]).toEqual([1, true]);
  first.session.close();
  world.pass(48 * HOUR);
  expect(enrolled(await world.start()).byToken).toBe(true);
});

test("who joins by its platform alone has not, whatever epoch it is told", async () => {
  // The next epoch is what this control plane gives for a proof.
  world.plane.epoch = 0;
  const identity = enrolled(await world.start({ config: withRoot(), prove }));
  expect([identity.epoch, identity.byToken]).toEqual([1, false]);
});

test("nor has one with a token that has expired by its own clock, although it goes along and may be taken", async () => {
  const token = await world.placeToken();
  const now = world.host.clock.now();
  const at = (later: number) => joiningBy(withRoot(), now + later, token, true);
  const by = (later: number): unknown[] => {
    const joining = at(later);
    if (isEnrolmentFault(joining)) throw new Error(joining.message);
    return [joining.token, joining.byToken];
  };
  expect([by(0), by(25 * HOUR)]).toEqual([
    [token, true],
    [token, false],
  ]);
});
