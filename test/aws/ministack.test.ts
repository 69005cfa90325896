/** The proxy's reading of AWS's documentation, held to another's: the same calls of AWS's own clients have the same ends on ministack. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  DescribeAutoScalingGroupsCommand,
  SetDesiredCapacityCommand,
} from "@aws-sdk/client-auto-scaling";
import {
  type Change,
  ChangeResourceRecordSetsCommand,
  CreateHostedZoneCommand,
  GetChangeCommand,
  ListResourceRecordSetsCommand,
  type ResourceRecordSet,
  Route53Client,
} from "@aws-sdk/client-route-53";
import { AwsConfig } from "../../agent/providerConfig/aws.ts";
import type { DnsArgs, ScaleArgs } from "../../policy/asked.ts";
import { awsProvider } from "../../providers/aws/aws.ts";
import type { RecordState, ScaleState } from "../../providers/provider.ts";
import { act, type Command, see } from "../providers/world.ts";
import { SETTING } from "./fixture.ts";
import { clientsOf, refusal, worlds } from "./world/clients.ts";
import { startMinistack } from "./world/ministack.ts";

const { make } = worlds();
let ministack: Awaited<ReturnType<typeof startMinistack>>;
beforeAll(async () => {
  ministack = await startMinistack();
}, 600_000);
afterAll(() => ministack.stop());

const ZONE = "prod-eu-1.example.com";
type Clients = {
  readonly scaling: AutoScalingClient;
  readonly dns: Route53Client;
  readonly zone: string;
  readonly name: string;
};

function theirs() {
  const common = {
    endpoint: ministack.endpoint,
    maxAttempts: 1,
    credentials: { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "secret" },
  };
  return {
    scaling: new AutoScalingClient({ ...common, region: "eu-west-1" }),
    dns: new Route53Client({ ...common, region: "us-east-1" }),
  };
}

async function both(): Promise<readonly (readonly [string, Clients])[]> {
  const world = await make();
  world.syncing.syncMilliseconds = 200;
  const ours = clientsOf(world, (await world.credentials()).secret);
  const clients = theirs();
  const made = await clients.dns.send(new CreateHostedZoneCommand({ Name: ZONE, CallerReference: world.zone.id }));
  const zone = (made.HostedZone?.Id ?? "").replace("/hostedzone/", "");
  return [
    ["the proxy", { ...ours, zone: world.zone.id, name: world.zone.name }],
    ["ministack", { ...clients, zone, name: ZONE }],
  ];
}

const record = (Name: string, values: readonly string[], more: Partial<ResourceRecordSet> = {}): ResourceRecordSet => ({
  Name,
  Type: "A",
  TTL: 60,
  ResourceRecords: values.map((Value) => ({ Value })),
  ...more,
});
const change = (Action: "CREATE" | "DELETE", ResourceRecordSet: ResourceRecordSet): Change => ({
  Action,
  ResourceRecordSet,
});
const send = ({ dns, zone }: Clients, ...Changes: Change[]) =>
  dns.send(new ChangeResourceRecordSetsCommand({ HostedZoneId: zone, ChangeBatch: { Changes } }));
const names = async ({ dns, zone }: Clients, more: { StartRecordName?: string; MaxItems?: number } = {}) => {
  const answer = await dns.send(new ListResourceRecordSetsCommand({ HostedZoneId: zone, ...more }));
  return {
    all: (answer.ResourceRecordSets ?? []).map(({ Name = "", Type }) => `${Name} ${Type}`),
    more: answer.IsTruncated,
  };
};

test("a group that is not there: the same refusal", async () => {
  for (const [who, { scaling }] of await both()) {
    const set = new SetDesiredCapacityCommand({ AutoScalingGroupName: "absent", DesiredCapacity: 1 });
    expect([who, await refusal(scaling.send(set))]).toMatchObject([who, { name: "ValidationError", status: 400 }]);
    const read = new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ["absent"] });
    expect([who, (await scaling.send(read)).AutoScalingGroups]).toEqual([who, []]);
  }
});

test("a change is PENDING first and INSYNC later, under an id of its own; an unknown one is not found", async () => {
  for (const [who, clients] of await both()) {
    const first = (await send(clients, change("CREATE", record(`a.${clients.name}`, ["10.20.0.1"])))).ChangeInfo;
    const second = (await send(clients, change("CREATE", record(`b.${clients.name}`, ["10.20.0.1"])))).ChangeInfo;
    const status = async (Id = "") => (await clients.dns.send(new GetChangeCommand({ Id }))).ChangeInfo?.Status;
    expect([who, first?.Status, first?.Id === second?.Id]).toEqual([who, "PENDING", false]);
    await status(first?.Id);
    await Bun.sleep(250);
    expect([who, await status(first?.Id)]).toEqual([who, "INSYNC"]);
    expect([who, await refusal(status("CABSENT"))]).toMatchObject([who, { name: "NoSuchChange", status: 404 }]);
  }
});

test("a batch with one wrong change makes none: a create of what is there, a delete of another value, a delete of nothing", async () => {
  for (const [who, clients] of await both()) {
    const www = `www.${clients.name}`;
    await send(clients, change("CREATE", record(www, ["10.20.0.1"])));
    const wrong = [
      change("CREATE", record(www, ["10.20.0.2"])),
      change("DELETE", record(www, ["10.20.0.2"])),
      change("DELETE", record(`nothing.${clients.name}`, ["10.20.0.1"])),
    ];
    for (const one of wrong) {
      const refused = await refusal(send(clients, change("CREATE", record(`new.${clients.name}`, ["10.20.0.9"])), one));
      expect([who, refused]).toMatchObject([who, { name: "InvalidChangeBatch", status: 400 }]);
    }
    expect([who, (await names(clients)).all.filter((name) => name.endsWith(" A"))]).toEqual([who, [`${www}. A`]]);
    await send(clients, change("DELETE", record(www, ["10.20.0.1"])), change("CREATE", record(www, ["10.20.0.3"])));
  }
});

test("a zone that is not there: the same refusal", async () => {
  for (const [who, { dns }] of await both()) {
    const read = new ListResourceRecordSetsCommand({ HostedZoneId: "ZABSENT" });
    expect([who, await refusal(dns.send(read))]).toMatchObject([who, { name: "NoSuchHostedZone", status: 404 }]);
  }
});

/** The provider on ministack: who it is, the world says. */
async function providerThere() {
  const world = await make();
  const { account, role, region, endpoints } = world;
  const there = { ...endpoints, autoscaling: ministack.endpoint, route53: ministack.endpoint };
  const aws = AwsConfig.parse({ account, role, region, partition: "aws", endpoints: there });
  return awsProvider(SETTING, aws);
}

test("the provider scales a group of ministack's up and down", async () => {
  const { scaling } = theirs();
  const AutoScalingGroupName = "brokers";
  await scaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName,
      LaunchConfigurationName: "any",
      AvailabilityZones: ["eu-west-1a"],
      MinSize: 1,
      MaxSize: 5,
      DesiredCapacity: 2,
    }),
  );
  const action = (await providerThere()).scale;
  const to = (count: number): Command<ScaleArgs, ScaleState> => ({
    action,
    args: { group: "brokers", count },
    resource: "brokers",
  });
  expect(await see(to(4))).toEqual({ count: 2 });
  for (const count of [4, 1]) {
    expect(await act(to(count))).toMatchObject({ result: "succeeded" });
    const read = new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [AutoScalingGroupName] });
    expect((await scaling.send(read)).AutoScalingGroups?.[0]?.Instances).toHaveLength(count);
  }
});

test("the provider creates, replaces and deletes a record of ministack's, and waits until it is in sync", async () => {
  const [, [, clients]] = (await both()) as readonly [unknown, readonly [string, Clients]];
  const action = (await providerThere())["update-dns"];
  const name = `b1.${clients.name}`;
  const args: DnsArgs = { zone: clients.zone, name, type: "A", change: "create", values: ["10.20.0.1"], ttl: 60 };
  const command = (more: Partial<DnsArgs>): Command<DnsArgs, RecordState> => ({
    action,
    args: { ...args, ...more },
    resource: `${clients.zone}/${name}`,
  });
  for (const more of [{}, { change: "replace", values: ["10.20.0.2"] }, { change: "delete", values: [] }] as const) {
    const done = await act(command({ ...more, values: [...(more.values ?? args.values)] }));
    expect(done).toMatchObject({ result: "succeeded" });
    expect(done.operations.filter(({ operation }) => operation === "route53:GetChange").length).toBeGreaterThan(0);
  }
  expect((await names(clients)).all.filter((one) => one.endsWith(" A"))).toEqual([]);
});
