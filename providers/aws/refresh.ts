import {
  DescribeInstanceRefreshesCommand,
  type InstanceRefresh,
  RollbackInstanceRefreshCommand,
  StartInstanceRefreshCommand,
} from "@aws-sdk/client-auto-scaling";
import { CallFailed } from "../provider.ts";
import type { AwsCalls } from "./call.ts";
import type { Version } from "./template.ts";

/** One instance refresh of a group, as it was read. */
export type Refresh = {
  readonly id: string;
  /** AWS's own word: "Pending", "InProgress", "Successful", … */
  readonly status: string;
  /** What it aims at; null: not at a version of a launch template. */
  readonly aim: { readonly template: string; readonly version: string } | null;
  readonly reason: string;
  /** What of it moves while it gets on: when this stays the same, nothing happens. */
  readonly progress: string;
};

const ENDED: ReadonlySet<string> = new Set([
  "Successful",
  "Failed",
  "Cancelled",
  "RollbackFailed",
  "RollbackSuccessful",
]);
/** Whether AWS is still at it: a word that is not known is one that is not over. */
export function isActive({ status }: Refresh): boolean {
  return !ENDED.has(status);
}
export function aimsAt({ aim }: Refresh, { template, number }: Version): boolean {
  return aim?.template === template && aim.version === number;
}

/** The newest hundred, the newest of them first: AWS keeps six weeks of them. Throws CallFailed. */
export async function readRefreshes(calls: AwsCalls, group: string): Promise<readonly Refresh[]> {
  const input = { AutoScalingGroupName: group, MaxRecords: 100 };
  const answer = await calls.send("autoscaling", (client) => client.send(new DescribeInstanceRefreshesCommand(input)));
  // One that has not begun has no time yet.
  const at = ({ StartTime: time }: InstanceRefresh): number => time?.getTime() ?? Number.POSITIVE_INFINITY;
  return (answer.InstanceRefreshes ?? []).toSorted((a, b) => at(b) - at(a) || 0).map((one) => refreshOf(one, group));
}

function refreshOf(one: InstanceRefresh, group: string): Refresh {
  const { InstanceRefreshId: id = "", Status: status = "", AutoScalingGroupName: name } = one;
  if (name !== group || !/^[0-9A-Za-z-]{1,255}$/.test(id) || !/^[A-Za-z]{1,32}$/.test(status))
    throw new CallFailed("malformed", "what was described is no refresh of this group", "none");
  const { LaunchTemplateId: template, Version: version } = one.DesiredConfiguration?.LaunchTemplate ?? {};
  const aim = template === undefined || version === undefined ? null : { template, version };
  const progress = `${status} ${one.PercentageComplete ?? 0} ${one.InstancesToUpdate ?? 0}`;
  return { id, status, aim, progress, reason: one.StatusReason ?? "" };
}

/**
 * The share of the group that AWS must keep in service, in percent, so that at most `unavailable` of `count` are out of it. AWS rounds what it
 * makes of it up to whole instances; at 100 it takes one at a time.
 */
export function leastHealthy(count: number, unavailable: number): number {
  const stay = Math.max(0, count - unavailable);
  if (count === 0) return 0;
  const share = Math.floor((100 * stay) / count);
  return Math.ceil((share * count) / 100) >= stay ? share : share + 1;
}

/** Begins to replace what is not of this version. It takes no token and is never sent twice. Throws CallFailed and Halted. */
export async function startRefresh(
  calls: AwsCalls,
  group: string,
  to: Version,
  leastHealthyPercent: number,
): Promise<void> {
  const input = {
    AutoScalingGroupName: group,
    Strategy: "Rolling" as const,
    DesiredConfiguration: { LaunchTemplate: { LaunchTemplateId: to.template, Version: to.number } },
    Preferences: {
      MinHealthyPercentage: leastHealthyPercent,
      // None comes before one has gone: the group is never larger than its desired capacity.
      MaxHealthyPercentage: 100,
      SkipMatching: true,
      // If this machine dies while it runs, AWS itself goes back when it fails.
      AutoRollback: true,
      ScaleInProtectedInstances: "Ignore" as const,
      StandbyInstances: "Ignore" as const,
    },
  };
  await calls.send("autoscaling", (client) => client.send(new StartInstanceRefreshCommand(input)));
}

/** Ends the group's running refresh and puts back what it replaced. Throws CallFailed and Halted. */
export async function rollBack(calls: AwsCalls, group: string): Promise<void> {
  const input = { AutoScalingGroupName: group };
  await calls.send("autoscaling", (client) => client.send(new RollbackInstanceRefreshCommand(input)));
}
