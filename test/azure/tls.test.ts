/** Over TLS as on Azure itself: the certificate is checked, for the name that the config gives, before a token leaves. */
import { afterEach, expect, test } from "bun:test";
import { dialer } from "../../agent/host/dial.ts";
import { AzureConfig } from "../../agent/providerConfig/azure.ts";
import { azureProvider } from "../../providers/azure/azure.ts";
import type { Dial } from "../../providers/transport.ts";
import { account, configFor, settingOf } from "./account.ts";
import { act, caught, certificateArgs, issuing, recordArgs, recording, scale, scaling, see } from "./fixture.ts";
import { startWorld, type World } from "./world/world.ts";

const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) {
    await world.stop();
    expect(world.problems).toEqual([]);
  }
});

const plain = dialer({ proxy: null, direct: new Set() });
/** Trusts the world's own authority in place of the public ones. */
const trusting =
  (root: string): Dial =>
  (to, wait) =>
    plain({ ...to, roots: to.tls ? [root] : null }, wait);

async function begin(dialOf: (world: World) => Dial, host = "localhost") {
  const world = await startWorld();
  worlds.push(world);
  const { chain, folder, end } = await account(world);
  const url = world.tlsUrl.replace("localhost", host);
  const config = AzureConfig.parse({
    ...configFor(world, chain),
    endpoints: { arm: url, vault: url, metadata: world.url },
  });
  const provider = await azureProvider(settingOf({ dial: dialOf(world) }), config, `${folder}/tls`);
  return { world, provider, end };
}

test("every action is carried out over TLS", async () => {
  const { world, provider, end } = await begin(({ tlsRoot }) => trusting(tlsRoot));
  expect(await scale(provider, 4)).toMatchObject({ result: "succeeded" });
  expect(await act(recording(provider, recordArgs(world, "create", ["10.20.0.1"])))).toMatchObject({
    result: "succeeded",
  });
  expect(world.calls.every(({ host }) => host.startsWith("https:"))).toBe(true);
  end();
});

test("a certificate is issued over TLS", async () => {
  const { world, provider, end } = await begin(({ tlsRoot }) => trusting(tlsRoot));
  const said = await act(issuing(provider, certificateArgs(world))).catch((error: Error) => error);
  // The key's own id names the place that it is read at: in this world that is the plain one.
  expect(said).toMatchObject({ result: "succeeded" });
  end();
});

test.each([
  ["of an authority that nobody trusts", () => plain, "localhost"],
  ["for another name", ({ tlsRoot }: World) => trusting(tlsRoot), "127.0.0.2"],
] as const)("a certificate %s: not one byte is said", async (_, dialOf, host) => {
  const { world, provider, end } = await begin(dialOf, host);
  expect(await caught(see(scaling(provider, 4)))).toMatchObject({
    status: expect.stringMatching(/^(?:tls|connection-refused)$/) as unknown as string,
  });
  expect(world.calls).toEqual([]);
  end();
});
