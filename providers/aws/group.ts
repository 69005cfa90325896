import type { AutoScalingGroup } from "@aws-sdk/client-auto-scaling";
import { DescribeAutoScalingGroupsCommand } from "@aws-sdk/client-auto-scaling";
import type { AwsConfig } from "../../agent/providerConfig/aws.ts";
import { CallFailed } from "../provider.ts";
import type { AwsCalls } from "./call.ts";
import { MAX_PAGES } from "./limits.ts";

export type Instance = {
  readonly id: string;
  /** AWS's word for where it is in its life: "Pending", "InService", "Terminating:Wait", … */
  readonly lifecycle: string;
  readonly healthy: boolean;
  /** From scale-in: Auto Scaling will not choose it when the group shrinks. */
  readonly kept: boolean;
  /** What it was launched from; null: from no version of a launch template. */
  readonly from: Template | null;
};
/** One version of a launch template, as a group names it: by its number, "$Latest" or "$Default". */
export type Template = { readonly id: string; readonly version: string };
/** One Auto Scaling group as it was read. */
export type Group = {
  readonly desired: number;
  readonly min: number;
  readonly max: number;
  readonly instances: readonly Instance[];
  /** Names of suspended processes: "Launch", "Terminate", … */
  readonly suspended: readonly string[];
  /** What it launches from; null: a launch configuration, or several kinds of instances (a mixed instances policy). */
  readonly template: Template | null;
};

/** The group by its name; null when there is none. Throws CallFailed, also for a group that a count of machines does not describe. */
export async function readGroup(calls: AwsCalls, aws: AwsConfig, name: string): Promise<Group | null> {
  let token: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const input = { AutoScalingGroupNames: [name], ...(token === undefined ? {} : { NextToken: token }) };
    const answer = await calls.send("autoscaling", (client) =>
      client.send(new DescribeAutoScalingGroupsCommand(input)),
    );
    const found = answer.AutoScalingGroups?.find((group) => group.AutoScalingGroupName === name);
    if (found !== undefined) return noted(calls, groupOf(found, aws, name));
    token = answer.NextToken;
    if (token === undefined || token === "") return null;
  }
  throw new CallFailed("too-many-pages", `the group was not on ${MAX_PAGES} pages`, "none");
}

/** A deploy may ask about what the group itself names. */
function noted(calls: AwsCalls, group: Group): Group {
  if (group.template !== null) calls.known.add(group.template.id);
  for (const { id } of group.instances) calls.known.add(id);
  return group;
}

function groupOf(found: AutoScalingGroup, aws: AwsConfig, name: string): Group {
  const arn = `^arn:${aws.partition}:autoscaling:${aws.region}:${aws.account}:autoScalingGroup:[0-9a-f-]{1,64}:autoScalingGroupName/`;
  if (!new RegExp(arn).test(found.AutoScalingGroupARN ?? "") || !found.AutoScalingGroupARN?.endsWith(`/${name}`))
    throw new CallFailed("group-elsewhere", "the group is of another account or region than the config's", "none");
  if (found.Status !== undefined) throw new CallFailed("group-deleting", `the group's status: ${found.Status}`, "none");
  if (inOtherUnits(found))
    throw new CallFailed(
      "group-weighted",
      "its capacity is not a count of machines (weights, vCPUs or memory)",
      "none",
    );
  return {
    desired: count(found.DesiredCapacity),
    min: count(found.MinSize),
    max: count(found.MaxSize),
    suspended: (found.SuspendedProcesses ?? []).map(({ ProcessName }) => ProcessName ?? ""),
    template: templateOf(found.LaunchTemplate),
    instances: (found.Instances ?? []).map((instance) => ({
      id: instanceId(instance.InstanceId),
      lifecycle: lifecycleOf(instance.LifecycleState),
      healthy: /^healthy$/i.test(instance.HealthStatus ?? ""),
      kept: instance.ProtectedFromScaleIn === true,
      from: templateOf(instance.LaunchTemplate),
    })),
  };
}

function templateOf(said: AutoScalingGroup["LaunchTemplate"]): Template | null {
  const { LaunchTemplateId: id = "", Version: version = "$Default" } = said ?? {};
  return /^lt-[0-9a-f]{8,17}$/.test(id) && /^(?:\d{1,9}|\$Latest|\$Default)$/.test(version) ? { id, version } : null;
}

/** A policy's limits are machines: a group that counts in something else cannot be held to them. */
function inOtherUnits(group: AutoScalingGroup): boolean {
  const overrides = group.MixedInstancesPolicy?.LaunchTemplate?.Overrides ?? [];
  const weights = [...overrides, ...(group.Instances ?? [])].map(({ WeightedCapacity }) => WeightedCapacity);
  const units = group.DesiredCapacityType;
  return (units !== undefined && units !== "units") || weights.some((weight) => weight !== undefined && weight !== "1");
}

function count(value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new CallFailed("malformed", "the group's sizes are not counts", "none");
}

function instanceId(value: unknown): string {
  if (typeof value === "string" && /^i-[0-9a-f]{8,17}$/.test(value)) return value;
  throw new CallFailed("malformed", "the group's instances have no ids", "none");
}

/** It goes into entries: a word, as AWS's own are. */
function lifecycleOf(value: unknown): string {
  return typeof value === "string" && /^[A-Za-z:]{1,32}$/.test(value) ? value : "unknown";
}

/** Whole: well, in service, and not about to leave or to be replaced. */
export function inService(group: Group): readonly Instance[] {
  return group.instances.filter(({ lifecycle, healthy }) => lifecycle === "InService" && healthy);
}

/** As many as were asked for are in service, and none is on its way in or out. Standby is where an operator put it. */
export function isTrue(group: Group, wanted: number): boolean {
  const whole = inService(group).length;
  const standby = group.instances.filter(({ lifecycle }) => lifecycle === "Standby").length;
  return group.desired === wanted && whole === wanted && whole + standby === group.instances.length;
}
