/** What every provider owes the road, held against the world that stands for AWS. */
import { afterAll, beforeAll } from "bun:test";
import type { DnsArgs, ScaleArgs } from "../../policy/asked.ts";
import type { AuthorityState, JudgedCertificateArgs, RecordState, ScaleState } from "../../providers/provider.ts";
import { type Case, conforms } from "../providers/conformance.ts";
import type { DeployCase } from "../providers/deployClaims.ts";
import { providerFor } from "./account.ts";
import { imageCommand, withImage } from "./deploying.ts";
import { type Moto, startMoto } from "./world/moto.ts";
import { makeRequest } from "./world/requests.ts";
import { startWorld, type World } from "./world/world.ts";

const ABSENT_AUTHORITY = "00000000-0000-0000-0000-000000000000";
let moto: Moto;
beforeAll(async () => {
  moto = await startMoto();
}, 600_000);
afterAll(() => moto.stop());

async function end(world: World): Promise<void> {
  await world.stop();
  if (world.problems.length > 0) throw new Error(world.problems.join("\n"));
}

async function group(): Promise<Case<ScaleArgs, ScaleState>> {
  const world = await startWorld(moto, { iam: true });
  const { name } = world.group;
  return {
    command: { action: (await providerFor(world)).scale, args: { group: name, count: 4 }, resource: name },
    absent: { group: "absent", count: 4 },
    absentResource: "absent",
    stale: { count: 3 },
    async look() {
      const { desired, inService } = await world.look.group();
      if (desired === 2 && inService === 2) return "before";
      return desired === 4 && inService === 4 ? "after" : "other";
    },
    end: () => end(world),
  };
}

async function authority(): Promise<Case<JudgedCertificateArgs, AuthorityState>> {
  const world = await startWorld(moto, { iam: true });
  const { arn } = world.authority;
  const pem = makeRequest(["a.example.com"]).csr;
  const csrDer = new Uint8Array(Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64"));
  const args = { usages: ["server" as const], validity: 3600, csrDer, names: ["a.example.com"], deliver: null };
  const action = (await providerFor(world))["issue-certificate"];
  const other = `${arn.slice(0, -36)}${ABSENT_AUTHORITY}`;
  return {
    command: { action, args: { authority: arn, ...args }, resource: arn },
    absent: { authority: other, ...args },
    absentResource: other,
    stale: { subject: "CN=another" },
    told: "never",
    async look() {
      const issued = world.look.issued();
      return issued === 0 ? "before" : issued === 1 ? "after" : "other";
    },
    end: () => end(world),
  };
}

async function zone(): Promise<Case<DnsArgs, RecordState>> {
  const world = await startWorld(moto, { iam: true });
  const { id, name: above } = world.zone;
  const name = `www.${above}`;
  const args = { zone: id, name, type: "A" as const, change: "create" as const, values: ["10.20.0.1"], ttl: 60 };
  return {
    command: { action: (await providerFor(world))["update-dns"], args, resource: `${id}/${name}` },
    absent: { ...args, zone: "ZABSENT" },
    absentResource: `ZABSENT/${name}`,
    stale: { record: { values: ["10.20.0.9"], ttl: 60 } },
    async look() {
      const found = await world.look.record(name, "A");
      if (found === null) return "before";
      return JSON.stringify(found["ResourceRecords"]) === '[{"Value":"10.20.0.1"}]' ? "after" : "other";
    },
    end: () => end(world),
  };
}

async function deployed(): Promise<DeployCase> {
  const world = await startWorld(moto, { iam: true });
  const { name } = world.group;
  const { image, before, third } = await withImage(world);
  world.scaling.unwell.add(third);
  const command = await imageCommand(world, image);
  return {
    command,
    absent: { ...command.args, group: "absent" },
    absentResource: "absent",
    stale: { image: third, count: 2, healthy: 2 },
    bad: { ...command.args, image: third },
    unfit: { ...command.args, image: "ami-0123456789abcdef0" },
    async look() {
      const { images } = await world.look.images();
      const { desired, inService } = await world.look.group(name);
      if (desired !== 2 || inService !== 2) return "other";
      if (images.every((one) => one === before)) return "before";
      return images.every((one) => one === image) ? "after" : "other";
    },
    end: () => end(world),
  };
}

conforms({
  provider: "aws",
  deploy: { "the world": deployed },
  scale: { "the world": group },
  "issue-certificate": { "the world": authority },
  "update-dns": { "the world": zone },
});
