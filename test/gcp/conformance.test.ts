/** What every provider owes the road, held against the world that stands for Google Cloud. */
import type { DnsArgs, ScaleArgs } from "../../policy/asked.ts";
import type { AuthorityState, JudgedCertificateArgs, RecordState, ScaleState } from "../../providers/provider.ts";
import { makeRequest } from "../aws/world/requests.ts";
import { type Case, conformance, deployConformance } from "../providers/conformance.ts";
import { deployOf } from "../providers/deploying.ts";
import { groupOf, providerFor, zoneOf } from "./account.ts";
import { startWorld, type World } from "./world/world.ts";

async function end(world: World): Promise<void> {
  await world.stop();
  if (world.problems.length > 0) throw new Error(world.problems.join("\n"));
}

for (const regional of [false, true])
  conformance<ScaleArgs, ScaleState>(
    `gcp scale, ${regional ? "regional" : "zonal"}`,
    async (): Promise<Case<ScaleArgs, ScaleState>> => {
      const world = await startWorld({ regional });
      const group = groupOf(world);
      const absent = regional ? "absent" : `${world.region}-b/absent`;
      return {
        command: { action: (await providerFor(world)).scale, args: { group, count: 4 }, resource: group },
        absent: { group: absent, count: 4 },
        stale: { count: 3 },
        absentResource: absent,
        async look() {
          const { target, running } = world.look.group();
          if (target === 2 && running === 2) return "before";
          return target === 4 && running === 4 ? "after" : "other";
        },
        end: () => end(world),
      };
    },
  );

type Certificates = Case<JudgedCertificateArgs, AuthorityState>;
conformance<JudgedCertificateArgs, AuthorityState>("gcp issue-certificate", async (): Promise<Certificates> => {
  const world = await startWorld();
  const pem = makeRequest(["a.example.com"]).csr;
  const csrDer = new Uint8Array(Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64"));
  const args = { usages: ["server" as const], validity: 3600, csrDer, names: ["a.example.com"], deliver: null };
  const action = (await providerFor(world))["issue-certificate"];
  const other = world.pool.replace(/[^/]+$/, "absent");
  return {
    command: { action, args: { authority: world.pool, ...args }, resource: world.pool },
    absent: { authority: other, ...args },
    stale: { subject: "CN=another" },
    absentResource: other,
    async look() {
      const issued = world.look.issued();
      return issued === 0 ? "before" : issued === 1 ? "after" : "other";
    },
    end: () => end(world),
  };
});

conformance<DnsArgs, RecordState>("gcp update-dns", async (): Promise<Case<DnsArgs, RecordState>> => {
  const world = await startWorld();
  const [zone, name] = [zoneOf(world), `www.${world.zoneName}`];
  const args = { zone, name, type: "A" as const, change: "create" as const, values: ["10.20.0.1"], ttl: 60 };
  return {
    command: { action: (await providerFor(world))["update-dns"], args, resource: `${zone}/${name}` },
    absent: { ...args, zone: "absent" },
    stale: { record: { values: ["10.20.0.9"], ttl: 60 } },
    absentResource: `absent/${name}`,
    async look() {
      const found = world.look.record(name, "A");
      if (found === null) return "before";
      return JSON.stringify([found.ttl, found.rrdatas]) === '[60,["10.20.0.1"]]' ? "after" : "other";
    },
    end: () => end(world),
  };
});

deployConformance("gcp deploy", async () => {
  const world = await startWorld();
  const image = (n: number): string => `projects/${world.project}/global/images/broker-${n}`;
  world.scaling.unwell.add(image(3));
  const command = deployOf(await providerFor(world), groupOf(world), image(2));
  const absent = `${world.region}-b/absent`;
  return {
    command,
    absent: { ...command.args, group: absent },
    absentResource: absent,
    stale: { image: image(3), count: 2, healthy: 2 },
    bad: { ...command.args, image: image(3) },
    unfit: { ...command.args, image: image(9) },
    async look() {
      const { images } = world.groups.deployed(world.group);
      if (images.length !== 2 || world.look.group().target !== 2) return "other";
      if (images.every((one) => one === image(1))) return "before";
      return images.every((one) => one === image(2)) ? "after" : "other";
    },
    end: () => end(world),
  };
});
