/**
 * A certificate by ACME whose names are proven in Cloud DNS, with exactly the roles that are rendered for its rule: the suite of every provider.
 * The authority is the tests' own, because Pebble cannot look names up in the world that stands for Google.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dialer } from "../../agent/host/dial.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import { AcmeConfig } from "../../agent/providerConfig/acme.ts";
import { GCP } from "../../policy/permissions/gcp/gcp.ts";
import { withAcme } from "../../providers/acme/acme.ts";
import type { AuthorityState, JudgedCertificateArgs } from "../../providers/provider.ts";
import { type Authority, startAuthority } from "../acme/authority.ts";
import { HASTY, requestFor } from "../acme/stage.ts";
import { policyOf } from "../permissions/world.ts";
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
  const permissions = GCP.render(
    policyOf(`version: 1
revision: 1
cluster: prod-eu-1
vendor: vendor.example
place: { cloud: gcp, project: ${world.project}, region: ${world.region} }
people: {}
signers: {}
share: []
dry_run: allowed
tests: []
rules:
  - id: public
    why: TLS that browsers trust.
    allow: issue-certificate
    authority: acme:test/zone/${zoneOf(world)}
    names: { exactly: ${JSON.stringify(names)} }
    key: { made: in-cluster, type: [P-256] }
    usages: [server]
    validity: { min: 1h, max: 30d }
    rate: 20 per day
    when: always
    approval: none
`),
    null,
  );
  if ("faults" in permissions) throw new Error(JSON.stringify(permissions));
  const { json } = permissions.print({ format: "gcp", boundary: false, head: "" });
  return JSON.parse(JSON.stringify(json["document"] ?? json)) as Rendered;
}

type Certificates = Case<JudgedCertificateArgs, AuthorityState>;

async function made(): Promise<Certificates & { readonly world: World }> {
  const world = await startWorld();
  const names = ["a", "b"].map((label) => `${label}.${world.zoneName}`);
  world.allow(granted(world, rolesFor(world, names)));
  const folder = mkdtempSync(join(root, "case-"));
  const tls = join(folder, "root.pem");
  writeFileSync(tls, authority.root);
  const acme = AcmeConfig.parse({ test: { directory: authority.directory, terms: "agreed", root: tls } });
  const uid = process.geteuid?.() ?? -1;
  const setting = { uid, host: HASTY, version: "9.9.9", dial: dialer(DIRECT) };
  const provider = withAcme(setting, acme, await providerFor(world), join(folder, "state"));
  if (provider.acme === undefined) throw new Error("there is no ACME in it");
  const deliver = join(folder, "leaf.crt");
  const before = authority.issued;
  const args: JudgedCertificateArgs = {
    authority: `acme:test/zone/${zoneOf(world)}`,
    usages: ["server"],
    validity: 2 * 86_400,
    csrDer: await requestFor(names),
    names,
    deliver,
  };
  return {
    world,
    command: { action: provider.acme, args, resource: args.authority },
    absent: { ...args, authority: `acme:other/zone/${zoneOf(world)}` },
    stale: { subject: "https://another.example/directory" },
    async look() {
      if (names.some((name) => world.look.record(`_acme-challenge.${name}`, "TXT") !== null)) return "other";
      if (!existsSync(deliver)) return authority.issued === before ? "before" : "other";
      return authority.issued === before + 1 ? "after" : "other";
    },
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
