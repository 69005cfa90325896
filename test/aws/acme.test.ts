/**
 * A certificate by ACME whose names are proven in Route 53, with exactly the permissions that are rendered for its rule: the suite of every
 * provider. The authority is the tests' own, because Pebble cannot look names up in the world that stands for AWS.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dialer } from "../../agent/host/dial.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import { AcmeConfig } from "../../agent/providerConfig/acme.ts";
import { AWS } from "../../policy/permissions/aws/aws.ts";
import { withAcme } from "../../providers/acme/acme.ts";
import type { AuthorityState, JudgedCertificateArgs } from "../../providers/provider.ts";
import { type Authority, startAuthority } from "../acme/authority.ts";
import { acmePolicy } from "../acme/onCloud.ts";
import { HASTY, requestFor } from "../acme/stage.ts";
import { type Case, conformance } from "../providers/conformance.ts";
import { act, removeAll, scratch } from "../providers/world.ts";
import { providerFor } from "./account.ts";
import { callOf, permits } from "./simulate.ts";
import { type Document, widened } from "./stage.ts";
import { type Moto, startMoto } from "./world/moto.ts";
import { startWorld, type World } from "./world/world.ts";

const root = scratch();
let moto: Moto;
let authority: Authority;
beforeAll(async () => {
  moto = await startMoto();
  authority = await startAuthority();
}, 600_000);
afterAll(async () => {
  await authority?.stop();
  await moto?.stop();
  removeAll([root]);
});

/** What `policy permissions` renders for a policy with this one rule. */
function permissionsFor(world: World, names: readonly string[]): Document {
  const permissions = AWS.render(
    acmePolicy(`{ cloud: aws, account: "${world.account}", region: ${world.region} }`, world.zone.id, names),
    null,
  );
  if ("faults" in permissions) throw new Error(JSON.stringify(permissions));
  return permissions.print({ format: "iam", boundary: false, head: "" }).json["document"] as Document;
}

type Certificates = Case<JudgedCertificateArgs, AuthorityState>;

async function made(): Promise<Certificates & { readonly world: World }> {
  const world = await startWorld(moto, { iam: true });
  const names = [`a.${world.zone.name}`, `b.${world.zone.name}`];
  const document = permissionsFor(world, names);
  await world.allow(widened(document));
  world.switches.judge = (call) => permits(document, callOf(call));
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
    authority: `acme:test/zone/${world.zone.id}`,
    usages: ["server"],
    validity: 2 * 86_400,
    csrDer: await requestFor(names),
    names,
    deliver,
  };
  return {
    world,
    command: { action: provider.acme, args, resource: args.authority },
    absent: { ...args, authority: `acme:other/zone/${world.zone.id}` },
    stale: { subject: "https://another.example/directory" },
    async look() {
      const records = await Promise.all(names.map((name) => world.look.record(`_acme-challenge.${name}`, "TXT")));
      if (records.some((record) => record !== null)) return "other";
      if (!existsSync(deliver)) return authority.issued === before ? "before" : "other";
      return authority.issued === before + 1 ? "after" : "other";
    },
    async end() {
      await world.stop();
      if (world.problems.length > 0) throw new Error(world.problems.join("\n"));
    },
  };
}

conformance<JudgedCertificateArgs, AuthorityState>("aws issue-certificate by ACME", made);

test("each record is put and taken away once, no call is denied, and every action of the rendered role is used", async () => {
  const { world, command, end } = await made();
  try {
    expect(await act(command)).toMatchObject({ result: "succeeded", code: null });
    const changes = world.calls.filter(({ changed }) => changed);
    expect(changes.map(({ operation }) => operation)).toEqual(Array(4).fill("ChangeResourceRecordSets"));
    expect(world.calls.filter(({ error }) => error !== null)).toEqual([]);
    const used = new Set(world.calls.map(({ service, operation }) => `${service}:${operation}`));
    used.delete("sts:GetCallerIdentity");
    const granted = permissionsFor(world, command.args.names).Statement.flatMap(({ Action }) => Action);
    expect([...used].sort()).toEqual([...new Set(granted)].sort());
  } finally {
    await end();
  }
}, 120_000);
