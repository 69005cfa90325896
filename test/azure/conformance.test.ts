/** What every provider owes the road, held against the world that stands for Azure. */
import type { DnsArgs, ScaleArgs } from "../../policy/asked.ts";
import type { AuthorityState, JudgedCertificateArgs, RecordState, ScaleState } from "../../providers/provider.ts";
import { makeRequest } from "../aws/world/requests.ts";
import { type Case, conformance, deployConformance } from "../providers/conformance.ts";
import { deployOf } from "../providers/deploying.ts";
import { account } from "./account.ts";
import { startWorld, type World } from "./world/world.ts";

async function end(world: World, away: () => void): Promise<void> {
  await world.stop();
  away();
  if (world.problems.length > 0) throw new Error(world.problems.join("\n"));
}

conformance<ScaleArgs, ScaleState>("azure scale", async (): Promise<Case<ScaleArgs, ScaleState>> => {
  const world = await startWorld();
  const { provider, end: away } = await account(world);
  return {
    command: { action: provider.scale, args: { group: "brokers", count: 4 }, resource: "brokers" },
    absent: { group: "absent", count: 4 },
    absentResource: "absent",
    stale: { count: 3 },
    async look() {
      world.group.tick();
      const { capacity, instances } = world.group.set;
      const whole = instances.every(({ state }) => state === "Succeeded") ? instances.length : 0;
      if (capacity === 2 && whole === 2) return "before";
      return capacity === 4 && whole === 4 ? "after" : "other";
    },
    end: () => end(world, away),
  };
});

type Certificates = Case<JudgedCertificateArgs, AuthorityState>;
conformance<JudgedCertificateArgs, AuthorityState>("azure issue-certificate", async (): Promise<Certificates> => {
  const world = await startWorld();
  const { provider, chain, config, end: away } = await account(world, {});
  const { authority } = world.vault;
  config.authorities["prod-eu-1-ca/absent"] = { version: "0".repeat(32), chain };
  const csrDer = new Uint8Array(
    Buffer.from(makeRequest(["a.example.com"]).csr.replace(/-----[^-]+-----|\s/g, ""), "base64"),
  );
  const args = { usages: ["server" as const], validity: 3600, csrDer, names: ["a.example.com"], deliver: null };
  const action = provider["issue-certificate"];
  return {
    command: { action, args: { authority, ...args }, resource: authority },
    absent: { authority: "prod-eu-1-ca/absent", ...args },
    absentResource: "prod-eu-1-ca/absent",
    stale: { subject: "CN=another" },
    async look() {
      const { length } = world.vault.signed;
      return length === 0 ? "before" : length === 1 ? "after" : "other";
    },
    end: () => end(world, away),
  };
});

conformance<DnsArgs, RecordState>("azure update-dns", async (): Promise<Case<DnsArgs, RecordState>> => {
  const world = await startWorld();
  const { provider, end: away } = await account(world);
  const zone = world.zone.name;
  const name = `www.${zone}`;
  const args = { zone, name, type: "A" as const, change: "create" as const, values: ["10.20.0.1"], ttl: 60 };
  return {
    command: { action: provider["update-dns"], args, resource: `${zone}/${name}` },
    absent: { ...args, zone: "absent.example", name: "www.absent.example" },
    absentResource: "absent.example/www.absent.example",
    stale: { record: { values: ["10.20.0.9"], ttl: 60 } },
    async look() {
      const found = world.zone.look("A", "www");
      if (found === null) return "before";
      return JSON.stringify(found["ARecords"]) === '[{"ipv4Address":"10.20.0.1"}]' ? "after" : "other";
    },
    end: () => end(world, away),
  };
});

deployConformance("azure deploy", async () => {
  const world = await startWorld();
  const { provider, end: away } = await account(world);
  const image = (n: number): string => world.group.imageId(n).toLowerCase();
  world.group.switches.broken.add(image(3));
  const command = deployOf(provider, "brokers", image(2));
  return {
    command,
    absent: { ...command.args, group: "absent" },
    absentResource: "absent",
    stale: { image: image(3), count: 2, healthy: 2 },
    bad: { ...command.args, image: image(3) },
    unfit: { ...command.args, image: image(9) },
    async look() {
      const images = world.group.deployed().images.map((one) => one.toLowerCase());
      if (images.length !== 2 || world.group.set.capacity !== 2) return "other";
      if (images.every((one) => one === image(1))) return "before";
      return images.every((one) => one === image(2)) ? "after" : "other";
    },
    end: () => end(world, away),
  };
});
