import { expect, test } from "bun:test";
import {
  type Activity,
  DescribeAutoScalingGroupsCommand,
  DescribeScalingActivitiesCommand,
  SetDesiredCapacityCommand,
} from "@aws-sdk/client-auto-scaling";
import { clientsOf, refusal, worlds } from "./world/clients.ts";
import type { World, WorldOptions } from "./world/world.ts";

const { make } = worlds();

async function groupOf(options: WorldOptions = {}) {
  const world: World = await make(options);
  const { scaling } = clientsOf(world, (await world.credentials()).secret);
  const AutoScalingGroupName = world.group.name;
  return {
    world,
    scaling,
    set: (DesiredCapacity: number, HonorCooldown = false) =>
      scaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName, DesiredCapacity, HonorCooldown })),
    async see() {
      const command = new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [AutoScalingGroupName] });
      const [group] = (await scaling.send(command)).AutoScalingGroups ?? [];
      const states = (group?.Instances ?? []).map(({ LifecycleState }) => LifecycleState ?? "").sort();
      return { desired: group?.DesiredCapacity, states, suspended: group?.SuspendedProcesses?.length };
    },
    async activities(): Promise<readonly Activity[]> {
      return (await scaling.send(new DescribeScalingActivitiesCommand({ AutoScalingGroupName }))).Activities ?? [];
    },
  };
}

test("a group takes the size it is given, and its activities say who asked and what came", async () => {
  const { set, see, activities } = await groupOf();
  await set(3);
  expect(await see()).toEqual({ desired: 3, states: ["InService", "InService", "InService"], suspended: 0 });
  const [activity, ...rest] = await activities();
  expect(rest).toEqual([]);
  expect(activity).toMatchObject({ StatusCode: "Successful", Progress: 100 });
  expect(activity?.Cause).toMatch(/explicitly set group desired capacity changing the desired capacity from 2 to 3\./);
  expect(activity?.Description).toMatch(/^Launching a new EC2 instance: i-[0-9a-f]{17}$/);
});

test("outside MinSize and MaxSize the call is refused, and nothing is different", async () => {
  const { set, see, world } = await groupOf({ group: { min: 1, max: 3, desired: 2 } });
  expect(await refusal(set(4))).toMatchObject({ name: "ValidationError", status: 400 });
  expect((await refusal(set(4))).message).toContain("above max value 3");
  expect((await refusal(set(0))).message).toContain("below min value 1");
  expect(await see()).toMatchObject({ desired: 2 });
  expect(world.calls.some(({ changed }) => changed)).toBe(false);
});

test("a group that is not there: ValidationError for a change, an empty list for a reading", async () => {
  const { scaling } = await groupOf();
  const absent = new SetDesiredCapacityCommand({ AutoScalingGroupName: "absent", DesiredCapacity: 1 });
  expect(await refusal(scaling.send(absent))).toMatchObject({ name: "ValidationError", status: 400 });
  const read = new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ["absent"] });
  expect((await scaling.send(read)).AutoScalingGroups).toEqual([]);
  const done = new DescribeScalingActivitiesCommand({ AutoScalingGroupName: "absent" });
  expect((await scaling.send(done)).Activities).toEqual([]);
});

test("instances are Pending for a while, and Terminating for a while", async () => {
  const { set, see, activities, world } = await groupOf();
  world.scaling.launchMilliseconds = 400;
  world.scaling.terminateMilliseconds = 400;
  await set(3);
  expect(await see()).toEqual({ desired: 3, states: ["InService", "InService", "Pending"], suspended: 0 });
  expect((await activities()).map((one) => [one.StatusCode, one.EndTime])).toEqual([["InProgress", undefined]]);
  await Bun.sleep(450);
  expect((await see()).states).toEqual(["InService", "InService", "InService"]);
  await set(1);
  expect((await see()).states).toEqual(["InService", "Terminating", "Terminating"]);
  await Bun.sleep(450);
  expect((await see()).states).toEqual(["InService"]);
  expect((await activities()).map(({ StatusCode }) => StatusCode)).toEqual(["Successful", "Successful", "Successful"]);
});

test("without capacity the group stays short, its activities say why, and it fills up once there is some", async () => {
  const { set, see, activities, world } = await groupOf();
  world.scaling.capacity = 1;
  await set(5);
  expect(await see()).toMatchObject({ desired: 5, states: ["InService", "InService", "InService"] });
  const [failed] = await activities();
  expect(failed).toMatchObject({ StatusCode: "Failed" });
  expect(failed?.StatusMessage).toContain("do not have sufficient t3.micro capacity");
  world.scaling.capacity = null;
  expect((await see()).states).toHaveLength(5);
});

test("a suspended Launch or Terminate leaves the instances as they are", async () => {
  const { set, see, world } = await groupOf();
  const suspended = { AutoScalingGroupName: world.group.name, ScalingProcesses: ["Launch", "Terminate"] };
  await world.admin.call("autoscaling", "SuspendProcesses", suspended);
  await set(4);
  expect(await see()).toEqual({ desired: 4, states: ["InService", "InService"], suspended: 2 });
  await set(1);
  expect(await see()).toEqual({ desired: 1, states: ["InService", "InService"], suspended: 2 });
  await world.admin.call("autoscaling", "ResumeProcesses", suspended);
  expect(await see()).toEqual({ desired: 1, states: ["InService"], suspended: 0 });
});

test("what is protected from scale-in stays, and an activity says so", async () => {
  const { set, see, activities, world } = await groupOf();
  const found = await world.admin.call("autoscaling", "DescribeAutoScalingGroups", {
    AutoScalingGroupNames: [world.group.name],
  });
  const [group] = found["AutoScalingGroups"] as unknown as { Instances: { InstanceId: string }[] }[];
  await world.admin.call("autoscaling", "SetInstanceProtection", {
    AutoScalingGroupName: world.group.name,
    InstanceIds: (group?.Instances ?? []).map(({ InstanceId }) => InstanceId),
    ProtectedFromScaleIn: true,
  });
  await set(1);
  expect(await see()).toMatchObject({ desired: 1, states: ["InService", "InService"] });
  expect((await activities())[0]?.StatusMessage).toContain("protected from scale-in");
});

test("during a cooldown who honours it is refused, who does not is not", async () => {
  const { set, see, world } = await groupOf();
  world.scaling.cooldown = true;
  expect(await refusal(set(3, true))).toMatchObject({ name: "ScalingActivityInProgressFault", status: 400 });
  expect(await see()).toMatchObject({ desired: 2 });
  await set(3);
  expect(await see()).toMatchObject({ desired: 3 });
});

test("someone else changes the group at a chosen moment: before our call or after it", async () => {
  const { set, see, world } = await groupOf();
  world.at("SetDesiredCapacity", "after", () => world.others.scale(6));
  await set(3);
  expect(await see()).toMatchObject({ desired: 6 });
  world.at("SetDesiredCapacity", "before", () => world.others.scale(8));
  await set(4);
  expect(await see()).toMatchObject({ desired: 4 });
  expect(world.calls.filter(({ operation }) => operation === "SetDesiredCapacity")).toHaveLength(2);
});

test("activities come a page at a time, newest first, and a token that is none is refused", async () => {
  const { set, scaling, world } = await groupOf();
  await set(3);
  await set(4);
  await set(5);
  const AutoScalingGroupName = world.group.name;
  const page = (NextToken?: string) =>
    scaling.send(
      new DescribeScalingActivitiesCommand({
        AutoScalingGroupName,
        MaxRecords: 2,
        ...(NextToken ? { NextToken } : {}),
      }),
    );
  const first = await page();
  const second = await page(first.NextToken);
  expect([first.Activities?.length, second.Activities?.length, second.NextToken]).toEqual([2, 1, undefined]);
  expect(first.Activities?.[0]?.Cause).toContain("from 4 to 5");
  expect(await refusal(page("nonsense"))).toMatchObject({ name: "InvalidNextToken", status: 400 });
});
