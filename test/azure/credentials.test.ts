/** Whose the token is, compared before the first call and after each refresh, from the metadata service alone. */
import { afterEach, expect, test } from "bun:test";
import { begin, caught, endAll, scaling, see } from "./fixture.ts";

afterEach(endAll);

const OTHER = "99999999-9999-4999-8999-999999999999";

test.each([
  ["tenant", { tid: OTHER }],
  ["principal", { oid: OTHER }],
  ["audience", { aud: "https://graph.microsoft.com" }],
])("a token of another %s than the config's: not one call is made with it", async (what, claims) => {
  const { world, provider } = await begin();
  world.machine.state.claims = claims;
  expect(await caught(see(scaling(provider, 4)))).toMatchObject({ status: `identity-${what}` });
  expect(world.calls).toEqual([]);
});

test("a machine of another subscription, and a token that says nothing of itself", async () => {
  const { world, provider } = await begin();
  Object.assign(world.machine.state, { subscription: OTHER });
  expect(await caught(see(scaling(provider, 4)))).toMatchObject({ status: "identity-subscription" });
  world.machine.state.claims = { tid: 7 };
  expect(await caught(see(scaling(provider, 4)))).toMatchObject({ status: "identity-unclear" });
  expect(world.calls).toEqual([]);
});

test("the user-assigned identity that the config names is asked for, and no other is taken", async () => {
  const { world, provider } = await begin({}, ({ user }) => ({
    identity: { client: user.client },
    principal: user.principal,
  }));
  await see(scaling(provider, 4));
  expect(
    world.machine.state.asked
      .filter((path) => path.includes("oauth2"))
      .every((path) => path.includes(`client_id=${world.user.client}`)),
  ).toBe(true);
  const other = await begin({}, ({ identity, user }) => ({
    identity: { client: user.client },
    principal: identity.principal,
  }));
  expect(await caught(see(scaling(other.provider, 4)))).toMatchObject({ status: "identity-principal" });
});

test("a machine without the identity that the config names is said so", async () => {
  const { world, provider } = await begin();
  Object.assign(world.machine.state, { system: null });
  expect(await caught(see(scaling(provider, 4)))).toMatchObject({ status: "no-identity" });
});

test("a token is read once while it holds, and compared again when it was read anew", async () => {
  const { world, provider } = await begin();
  const reads = () => world.machine.state.asked.filter((path) => path.includes("oauth2")).length;
  await see(scaling(provider, 4));
  await see(scaling(provider, 4));
  expect(reads()).toBe(1);
  // Azure does not take it any more: the next call brings a new one, of somebody else.
  world.machine.tokens.clear();
  expect(await caught(see(scaling(provider, 4)))).toMatchObject({ status: "credentials-invalid" });
  world.machine.state.claims = { oid: OTHER };
  const before = world.calls.length;
  expect(await caught(see(scaling(provider, 4)))).toMatchObject({ status: "identity-principal" });
  expect([reads(), world.calls.length]).toEqual([2, before]);
});

test("a token that ends soon is read anew, and one that has ended is not used", async () => {
  const { world, provider } = await begin();
  world.machine.state.seconds = 120;
  await see(scaling(provider, 4));
  await see(scaling(provider, 4));
  const reads = world.machine.state.asked.filter((path) => path.includes("oauth2")).length;
  // Each call asks: two a look.
  expect(reads).toBe(4);
  world.machine.state.seconds = 10;
  const other = await begin();
  other.world.machine.state.seconds = 10;
  expect(await caught(see(scaling(other.provider, 4)))).toMatchObject({ status: "credentials-expired" });
  expect(other.world.calls).toEqual([]);
});
