/** The world that reeve is tried against, tried itself: by AWS's own clients, without a line of reeve's. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { ACMPCAClient } from "@aws-sdk/client-acm-pca";
import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  DescribeScalingActivitiesCommand,
  SetDesiredCapacityCommand,
} from "@aws-sdk/client-auto-scaling";
import { Route53Client } from "@aws-sdk/client-route-53";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { type Moto, startMoto } from "./world/moto.ts";
import { startWorld, type World, type WorldOptions } from "./world/world.ts";

let moto: Moto;
let world: World | null = null;
beforeAll(async () => {
  moto = await startMoto();
}, 600_000);
afterAll(() => moto.stop());
afterEach(async () => {
  const ended = world;
  world = null;
  await ended?.stop();
  expect(ended?.problems ?? []).toEqual([]);
});

async function make(options: WorldOptions = {}) {
  world = await startWorld(moto, options);
  const { secret } = await world.credentials();
  const common = {
    region: "eu-west-1",
    maxAttempts: 1,
    credentials: { accessKeyId: secret.accessKey, secretAccessKey: secret.secretKey, sessionToken: secret.token ?? "" },
  };
  const { endpoints } = world;
  return {
    world,
    scaling: new AutoScalingClient({ ...common, endpoint: endpoints.autoscaling }),
    pca: new ACMPCAClient({ ...common, endpoint: endpoints["acm-pca"] }),
    dns: new Route53Client({ ...common, endpoint: endpoints.route53 }),
    sts: new STSClient({ ...common, endpoint: endpoints.sts }),
  };
}

test("the caller is the instance's role", async () => {
  const { world, sts } = await make({ iam: true });
  const answer = await sts.send(new GetCallerIdentityCommand({}));
  expect(answer).toMatchObject({
    Account: world.account,
    Arn: `arn:aws:sts::${world.account}:assumed-role/${world.role}/${world.instance}`,
  });
  console.log(answer);
});

test("a group grows", async () => {
  const { world, scaling } = await make({ iam: true });
  const AutoScalingGroupName = world.group.name;
  console.time("set");
  await scaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName, DesiredCapacity: 4 }));
  console.timeEnd("set");
  console.dir(
    await scaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [AutoScalingGroupName] })),
    { depth: 6 },
  );
  console.dir(await scaling.send(new DescribeScalingActivitiesCommand({ AutoScalingGroupName })), { depth: 6 });
  console.log(world.calls);
});
