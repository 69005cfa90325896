/**
 * A certificate by ACME whose names are proven in Azure DNS, with exactly the roles that are rendered for its rule: the suite of every provider.
 * The authority is the tests' own, because Pebble cannot look names up in the world that stands for Azure.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dialer } from "../../agent/host/dial.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import { AcmeConfig } from "../../agent/providerConfig/acme.ts";
import { AZURE } from "../../policy/permissions/azure/azure.ts";
import { withAcme } from "../../providers/acme/acme.ts";
import type { AuthorityState, JudgedCertificateArgs } from "../../providers/provider.ts";
import { type Authority, startAuthority } from "../acme/authority.ts";
import { HASTY, requestFor } from "../acme/stage.ts";
import { policyOf } from "../permissions/world.ts";
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
  const permissions = AZURE.render(
    policyOf(`version: 1
revision: 1
cluster: prod-eu-1
vendor: vendor.example
place: { cloud: azure, subscription: ${SUBSCRIPTION}, resource_group: ${GROUP} }
people: {}
signers: {}
share: []
dry_run: allowed
tests: []
rules:
  - id: public
    why: TLS that browsers trust.
    allow: issue-certificate
    authority: acme:test/zone/${world.zone.name}
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
  const { json } = permissions.print({ format: "azure", boundary: false, head: "" });
  return JSON.parse(JSON.stringify(json["document"] ?? json)) as Document;
}

type Certificates = Case<JudgedCertificateArgs, AuthorityState>;

async function made(): Promise<Certificates & { readonly world: World }> {
  const world = await startWorld();
  const labels = ["a", "b"];
  const names = labels.map((label) => `${label}.${world.zone.name}`);
  world.assignments = assigned(rolesFor(world, names));
  const folder = mkdtempSync(join(root, "case-"));
  const tls = join(folder, "root.pem");
  writeFileSync(tls, authority.root);
  const acme = AcmeConfig.parse({ test: { directory: authority.directory, terms: "agreed", root: tls } });
  const uid = process.geteuid?.() ?? -1;
  const setting = { uid, host: HASTY, version: "9.9.9", dial: dialer(DIRECT) };
  const azure = await account(world);
  const provider = withAcme(setting, acme, azure.provider, join(folder, "state"));
  if (provider.acme === undefined) throw new Error("there is no ACME in it");
  const deliver = join(folder, "leaf.crt");
  const before = authority.issued;
  const args: JudgedCertificateArgs = {
    authority: `acme:test/zone/${world.zone.name}`,
    usages: ["server"],
    validity: 2 * 86_400,
    csrDer: await requestFor(names),
    names,
    deliver,
  };
  return {
    world,
    command: { action: provider.acme, args, resource: args.authority },
    absent: { ...args, authority: `acme:other/zone/${world.zone.name}` },
    stale: { subject: "https://another.example/directory" },
    async look() {
      if (labels.some((label) => world.zone.look("TXT", `_acme-challenge.${label}`) !== null)) return "other";
      if (!existsSync(deliver)) return authority.issued === before ? "before" : "other";
      return authority.issued === before + 1 ? "after" : "other";
    },
    async end() {
      await world.stop();
      azure.end();
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
