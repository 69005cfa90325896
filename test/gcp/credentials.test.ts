/** Tokens come from the metadata server alone, and are used only when project and account are the config's. */
import { afterEach, expect, test } from "bun:test";
import { realClock } from "../../agent/host/real.ts";
import { tokenSource } from "../../providers/gcp/credentials.ts";
import { metadataServer } from "../../providers/gcp/metadata.ts";
import { failureOf, SETTING } from "../aws/fixture.ts";
import { see } from "../providers/world.ts";
import { configOf, groupOf, providerFor } from "./account.ts";
import { startWorld, type World } from "./world/world.ts";

const open: World[] = [];
afterEach(async () => {
  for (const world of open.splice(0)) {
    await world.stop();
    expect(world.problems).toEqual([]);
  }
});
async function worldOf(): Promise<World> {
  const world = await startWorld();
  open.push(world);
  return world;
}
function tokensOf(world: World) {
  let now = 0;
  const metadata = metadataServer(world.endpoints.metadata, SETTING);
  const clock = { ...realClock, monotonic: () => now };
  const later = (ms: number): void => {
    now += ms;
  };
  const asked = () => world.metadataCalls.filter((call) => call.endsWith("/token")).length;
  return {
    tokens: tokenSource({ clock, metadata, gcp: configOf(world) }),
    asked,
    later,
  };
}
async function readOf(world: World) {
  const group = groupOf(world);
  return see({ action: (await providerFor(world)).scale, args: { group, count: 4 }, resource: group });
}

test("a token is asked for by the configured account's own name, once for as long as it holds, and anew before it ends", async () => {
  const world = await worldOf();
  const { tokens, asked, later } = tokensOf(world);
  const first = await tokens.current();
  expect([await tokens.current(), asked()]).toEqual([first, 1]);
  expect(world.metadataCalls.filter((call) => call.endsWith("/token"))).toEqual([
    `GET /computeMetadata/v1/instance/service-accounts/${world.account}/token`,
  ]);
  later(3_600_000 - 200_000);
  expect(await tokens.current()).not.toBe(first);
  expect(asked()).toBe(2);
});

test("many callers at once ask for one token", async () => {
  const { tokens, asked } = tokensOf(await worldOf());
  const all = await Promise.all(Array.from({ length: 20 }, () => tokens.current()));
  expect([new Set(all).size, asked()]).toEqual([1, 1]);
});

test.each([
  ["another project", { project: "another-project" }, "identity-project"],
  ["another account", { account: "other@another-project.iam.gserviceaccount.com" }, "identity-account"],
  ["no account", { fault: "no-account" }, "no-account"],
  ["a server that is another", { fault: "stranger" }, "metadata-malformed"],
  ["nothing but errors", { fault: "nothing-but-errors" }, "metadata-refused"],
  ["no token but other words", { fault: "malformed-token" }, "metadata-malformed"],
] as const)("%s: nothing is called", async (_, switches, status) => {
  const world = await worldOf();
  Object.assign(world.metadata, switches);
  const { tokens } = tokensOf(world);
  expect((await failureOf(tokens.current())).status).toBe(status);
  expect(world.calls).toEqual([]);
});

test("an account that is another at a refresh ends the use of the token before", async () => {
  const world = await worldOf();
  const { tokens, later } = tokensOf(world);
  await tokens.current();
  world.metadata.account = "other@another-project.iam.gserviceaccount.com";
  later(3_600_000 - 200_000);
  for (let nth = 0; nth < 2; nth++) expect((await failureOf(tokens.current())).status).toBe("identity-account");
});

test("a metadata server that is away for a while ends nothing while the token holds, and then everything", async () => {
  const world = await worldOf();
  const { tokens, later } = tokensOf(world);
  const first = await tokens.current();
  world.metadata.fault = "nothing-but-errors";
  later(3_600_000 - 200_000);
  expect(await tokens.current()).toBe(first);
  later(180_000);
  expect((await failureOf(tokens.current())).status).toBe("metadata-refused");
});

test("a token that Google does not take is not used again", async () => {
  const world = await worldOf();
  const group = groupOf(world);
  const action = (await providerFor(world)).scale;
  const command = { action, args: { group, count: 4 }, resource: group };
  await see(command);
  world.expireTokens();
  expect((await failureOf(see(command))).status).toBe("credentials-invalid");
  expect(await see(command)).toEqual({ count: 2 });
});

test("variables and key files of Google's are not read", async () => {
  const world = await worldOf();
  const lies = {
    GOOGLE_APPLICATION_CREDENTIALS: "/tmp/none.json",
    GOOGLE_CLOUD_PROJECT: "another-project",
    GOOGLE_CLOUD_UNIVERSE_DOMAIN: "elsewhere.example",
    GCE_METADATA_HOST: "127.0.0.1:1",
    HTTPS_PROXY: "http://127.0.0.1:1",
    NO_GCE_CHECK: "true",
  };
  Object.assign(process.env, lies);
  try {
    expect(await readOf(world)).toEqual({ count: 2 });
  } finally {
    for (const name of Object.keys(lies)) delete process.env[name];
  }
});
