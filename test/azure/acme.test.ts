/**
 * A certificate by ACME whose names are proven in Azure DNS, with exactly the roles that are rendered for its rule: the suite of every provider.
 * The authority is the tests' own, because Pebble cannot look names up in the world that stands for Azure.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { AZURE } from "../../policy/permissions/azure/azure.ts";
import type { AuthorityState, JudgedCertificateArgs } from "../../providers/provider.ts";
import { type Authority, startAuthority } from "../acme/authority.ts";
import { acmeCase, acmePolicy } from "../acme/onCloud.ts";
import { type Case, conformance } from "../providers/conformance.ts";
import { act, removeAll, scratch } from "../providers/world.ts";
import { account } from "./account.ts";
import { assigned, type Document } from "./stage.ts";
import { GROUP, SUBSCRIPTION, startWorld, type World } from "./world/world.ts";

const root = scratch();
let authority: Authority;
beforeAll(async () => {
  authority = await startAuthority();
}, 120_000);
afterAll(async () => {
  await authority?.stop();
  removeAll([root]);
});

/** What `policy permissions` renders for a policy with this one rule. */
function rolesFor(world: World, names: readonly string[]): Document {
  const place = `{ cloud: azure, subscription: ${SUBSCRIPTION}, resource_group: ${GROUP} }`;
  const permissions = AZURE.render(acmePolicy(place, world.zone.name, names), null);
  if ("faults" in permissions) throw new Error(JSON.stringify(permissions));
  const { json } = permissions.print({ format: "azure", boundary: false, head: "" });
  return JSON.parse(JSON.stringify(json["document"])) as Document;
}

async function made(): Promise<Case<JudgedCertificateArgs, AuthorityState> & { readonly world: World }> {
  const world = await startWorld();
  const zone = world.zone.name;
  const names = [`a.${zone}`, `b.${zone}`];
  world.assignments = assigned(rolesFor(world, names));
  const { provider: cloud, end: away } = await account(world);
  const left = (name: string): boolean => world.zone.look("TXT", name.slice(0, -zone.length - 1)) !== null;
  return {
    world,
    ...(await acmeCase({ folder: root, authority, cloud, zone, names, left })),
    async end() {
      await world.stop();
      away();
      if (world.problems.length > 0) throw new Error(world.problems.join("\n"));
    },
  };
}

conformance<JudgedCertificateArgs, AuthorityState>("azure issue-certificate by ACME", made);

test("each record is put and taken away once, no call is denied, and every action of the rendered roles is used", async () => {
  const { world, command, end } = await made();
  try {
    expect(await act(command)).toMatchObject({ result: "succeeded", code: null });
    const zones = "Microsoft.Network/dnsZones";
    const changes = world.calls.filter(({ changed }) => changed).map(({ action }) => action);
    expect(changes.sort()).toEqual([
      ...Array<string>(2).fill(`${zones}/TXT/delete`),
      ...Array<string>(2).fill(`${zones}/TXT/write`),
    ]);
    expect(world.calls.filter(({ error }) => error !== null && error !== "NotFound")).toEqual([]);
    const used = new Set(world.calls.map(({ action }) => action));
    const granted = rolesFor(world, command.args.names).roleDefinitions.flatMap(({ Actions, DataActions }) => [
      ...Actions,
      ...DataActions,
    ]);
    expect([...used].sort()).toEqual([...new Set(granted)].sort());
  } finally {
    await end();
  }
}, 120_000);
