import { type Activity, DescribeScalingActivitiesCommand } from "@aws-sdk/client-auto-scaling";
import type { AwsCalls } from "./call.ts";
import { MAX_PAGES } from "./limits.ts";

/** What AWS's own record says of a group, since some of it was known. */
export type Activities = {
  /** Each change of the desired capacity that caused an activity, whoever made it. */
  readonly moves: readonly { readonly from: number; readonly to: number }[];
  /** Why the newest that failed did so, as a short stable code; null when none failed. */
  readonly reason: string | null;
  /** AWS's own words of those that failed: for details only. */
  readonly words: string | null;
};

/** Reads a group's scaling activities, newest first, up to what is known; of an unknown past only the newest one. Throws CallFailed. */
export async function readActivities(
  calls: AwsCalls,
  group: string,
  known: ReadonlySet<string> | null,
): Promise<Activities> {
  const found: Activity[] = [];
  let token: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const input = { AutoScalingGroupName: group, ...(token === undefined ? {} : { NextToken: token }) };
    const answer = await calls.send("autoscaling", (client) =>
      client.send(new DescribeScalingActivitiesCommand(input)),
    );
    const activities = answer.Activities ?? [];
    const fresh = activities.filter(({ ActivityId }) => known?.has(ActivityId ?? "") !== true);
    found.push(...fresh);
    token = answer.NextToken;
    if (known === null || token === undefined || token === "" || fresh.length < activities.length) break;
  }
  return said(known === null ? found.slice(0, 1) : found);
}

/** Ids of the newest activities: what comes after them is new. */
export async function newestIds(calls: AwsCalls, group: string): Promise<ReadonlySet<string>> {
  const input = { AutoScalingGroupName: group };
  const answer = await calls.send("autoscaling", (client) => client.send(new DescribeScalingActivitiesCommand(input)));
  return new Set((answer.Activities ?? []).map(({ ActivityId }) => ActivityId ?? ""));
}

/** A cause's fixed words: "… changing the desired capacity from 7 to 9." */
const MOVE = /changing the desired capacity from (\d{1,6}) to (\d{1,6})/g;
/** AWS's usual words for why nothing came, each to a short stable code. The first that fits. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/InsufficientInstanceCapacity|do not have sufficient|insufficient capacity|no Spot capacity/i, "capacity"],
  [/LimitExceeded|more (?:vCPU|instance)s? capacity than|quota/i, "quota"],
  [/not authorized|UnauthorizedOperation|AccessDenied/i, "launch-denied"],
];

function said(activities: readonly Activity[]): Activities {
  const failed = activities.filter(({ StatusCode }) => StatusCode === "Failed" || StatusCode === "Cancelled");
  const words = failed.map(({ Description, Cause, StatusMessage }) => [Description, Cause, StatusMessage].join("\n"));
  const [newest] = words;
  const reason = REASONS.find(([pattern]) => newest !== undefined && pattern.test(newest))?.[1] ?? "activity-failed";
  return {
    moves: activities.flatMap(({ Cause = "" }) =>
      [...Cause.matchAll(MOVE)].map(([, from, to]) => ({ from: Number(from), to: Number(to) })),
    ),
    reason: newest === undefined ? null : reason,
    words: words.length === 0 ? null : words.join("\n\n"),
  };
}
