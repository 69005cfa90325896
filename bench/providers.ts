import { type Effort, type Figure, median, times } from "./figure.ts";
import { startMetadata } from "./metadata.ts";
import { type Customer, startPlane } from "./plane.ts";

const TARGET_IDLE_MB = 90;
/** Of `local`'s. */
const TARGET_START = 2;

type Subject = {
  readonly name: string;
  readonly place: string;
  /** Lines of the config. `metadata`: an origin that answers as a machine's metadata service. */
  provider(metadata: string): string;
};

const SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-cb9272f09590";

const LOCAL: Subject = { name: "local", place: "{ cloud: local }", provider: () => "provider: local" };
/** What stands beside `local`: one entry a provider. */
const CLOUDS: readonly Subject[] = [
  {
    name: "aws",
    place: '{ cloud: aws, account: "111122223333", region: eu-west-1 }',
    provider: (metadata) =>
      `provider: aws\naws: { account: "111122223333", role: reeve, region: eu-west-1, partition: aws, endpoints: { metadata: "${metadata}", sts: "${metadata}" } }`,
  },
  {
    name: "gcp",
    place: "{ cloud: gcp, project: prod-brokers, region: europe-west1 }",
    provider: (metadata) =>
      `provider: gcp\ngcp: { project: prod-brokers, account: reeve@prod-brokers.iam.gserviceaccount.com, region: europe-west1, endpoints: { metadata: "${metadata}" } }`,
  },
  {
    name: "azure",
    place: `{ cloud: azure, subscription: ${SUBSCRIPTION}, resource_group: prod-eu-1 }`,
    provider: (metadata) =>
      `provider: azure\nazure: { environment: public, tenant: ${SUBSCRIPTION}, subscription: ${SUBSCRIPTION}, resource_group: prod-eu-1, location: westeurope, principal: ${SUBSCRIPTION}, identity: system, endpoints: { metadata: "${metadata}" } }`,
  },
];

type Measured = { readonly name: string; readonly start: number; readonly megabytes: number };

function figuresOf(local: Measured, { name, start, megabytes }: Measured, seconds: number): Figure[] {
  const slower = start / local.start;
  return [
    {
      what: `start to first poll, provider ${name}`,
      ours: `${start.toFixed(0)} ms`,
      beside: `local ${local.start.toFixed(0)} ms`,
      ratio: times(slower),
      target: `within ${TARGET_START}×`,
      reached: slower <= TARGET_START,
    },
    {
      what: `memory after ${seconds} s idle, provider ${name}`,
      ours: `${megabytes.toFixed(0)} MB`,
      beside: `local ${local.megabytes.toFixed(0)} MB`,
      ratio: times(megabytes / local.megabytes),
      target: `under ${TARGET_IDLE_MB} MB`,
      reached: megabytes < TARGET_IDLE_MB,
    },
  ];
}

/** Every provider's agent beside `local`'s, started in turn, and then idle side by side. */
export async function providerFigures({ quick }: Effort, scratch: string): Promise<Figure[]> {
  const metadata = await startMetadata();
  const plane = await startPlane(scratch);
  try {
    const agents = [LOCAL, ...CLOUDS].map(({ name, place, provider }) => ({
      name,
      starts: [] as number[],
      agent: plane.customer(`bench-${name}`, place, provider(metadata.url)) satisfies Customer,
    }));
    for (let round = -1; round < (quick ? 3 : 9); round++) {
      for (const { agent, starts } of agents) {
        const start = await agent.start();
        // The first start joins, and does not count.
        if (round >= 0) starts.push(start);
        await agent.stop();
      }
    }
    for (const { agent } of agents) await agent.start();
    const seconds = quick ? 15 : 60;
    await Bun.sleep(seconds * 1000);
    const [local, ...clouds] = agents.map(
      ({ name, starts, agent }): Measured => ({ name, start: median(starts), megabytes: agent.residentMegabytes() }),
    );
    if (local === undefined) throw new Error("nothing was measured");
    return clouds.flatMap((cloud) => figuresOf(local, cloud, seconds));
  } finally {
    await plane.end();
    metadata.stop();
  }
}
