/**
 * A certificate by ACME whose names are proven in Cloud DNS, with exactly the roles that are rendered for its rule: the suite of every provider.
 * The authority is the tests' own, because Pebble cannot look names up in the world that stands for Google.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { GCP } from "../../policy/permissions/gcp/gcp.ts";
import type { AuthorityState, JudgedCertificateArgs } from "../../providers/provider.ts";
import { type Authority, startAuthority } from "../acme/authority.ts";
import { acmeCase, acmePolicy } from "../acme/onCloud.ts";
import { type Case, conformance } from "../providers/conformance.ts";
import { act, removeAll, scratch } from "../providers/world.ts";
import { providerFor, zoneOf } from "./account.ts";
import { granted, type Rendered } from "./stage.ts";
import { startWorld, type World } from "./world/world.ts";

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
function rolesFor(world: World, names: readonly string[]): Rendered {
  const place = `{ cloud: gcp, project: ${world.project}, region: ${world.region} }`;
  const permissions = GCP.render(acmePolicy(place, zoneOf(world), names), null);
  if ("faults" in permissions) throw new Error(JSON.stringify(permissions));
  const { json } = permissions.print({ format: "gcp", boundary: false, head: "" });
  return JSON.parse(JSON.stringify(json["document"])) as Rendered;
}

async function made(): Promise<Case<JudgedCertificateArgs, AuthorityState> & { readonly world: World }> {
  const world = await startWorld();
  const names = ["a", "b"].map((label) => `${label}.${world.zoneName}`);
  world.allow(granted(world, rolesFor(world, names)));
  const cloud = await providerFor(world);
  const left = (name: string): boolean => world.look.record(name, "TXT") !== null;
  return {
    world,
    ...(await acmeCase({ folder: root, authority, cloud, zone: zoneOf(world), names, left })),
    async end() {
      await world.stop();
      if (world.problems.length > 0) throw new Error(world.problems.join("\n"));
    },
  };
}

conformance<JudgedCertificateArgs, AuthorityState>("gcp issue-certificate by ACME", made);

test("each record is put and taken away once, no call is denied; without any one permission of the rendered roles one is", async () => {
  const { world, command, end } = await made();
  try {
    expect(await act(command)).toMatchObject({ result: "succeeded", code: null });
    const changes = world.calls.filter(({ changed }) => changed).map(({ operation }) => operation);
    expect(changes).toEqual(Array(4).fill("dns.changes.create"));
    expect(world.calls.filter(({ error }) => error !== null)).toEqual([]);
    const rendered = rolesFor(world, command.args.names);
    const permissions = rendered.roles.flatMap(({ includedPermissions }) => includedPermissions);
    expect(permissions.filter((permission) => !permission.startsWith("dns."))).toEqual([]);
    // Another's record stands at the first name, which is kept beside; none at the second.
    const put = (name: string, record: { ttl: number; rrdatas: string[] } | null): void =>
      world.zones.put(world.zone, `_acme-challenge.${name}`, "TXT", record);
    const [first = "", second = ""] = command.args.names;
    for (const permission of [null, ...permissions]) {
      put(first, { ttl: 300, rrdatas: ['"others"'] });
      put(second, null);
      world.allow(granted(world, rendered, permission));
      const before = world.calls.length;
      await act(command).catch(() => undefined);
      const denied = world.calls.slice(before).filter(({ error }) => error !== null).length > 0;
      expect([permission, denied]).toEqual([permission, permission !== null]);
    }
  } finally {
    await end();
  }
}, 120_000);
