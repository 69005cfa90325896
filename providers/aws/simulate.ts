import {
  type ContextEntry,
  type EvaluationResult,
  IAMClient,
  SimulatePrincipalPolicyCommand,
} from "@aws-sdk/client-iam";
import { partitionOf } from "../../policy/permissions/aws/arn.ts";
import { changesOf, type JudgedChange } from "../../policy/permissions/aws/changes.ts";
import type { Rule } from "../../policy/policy.ts";
import { CallFailed, type ReachedPart } from "../provider.ts";
import type { AwsContext } from "./call.ts";
import type { Makers } from "./clients.ts";
import { denied, hintOf } from "./hints.ts";
import { DOCTOR } from "./limits.ts";
import { DOCTOR_OPERATIONS } from "./operations.ts";
import { inTime, readingCalls } from "./readingCalls.ts";

const IAM: Makers = { iam: (settings) => new IAMClient(settings) };
const UNASKED =
  "not known: only a change itself would tell. With aws.endpoints.iam and iam:SimulatePrincipalPolicy IAM is asked what it would say";

/**
 * Whether the role may make the changes that the rules permit, an example of each: by IAM's own simulator, where the config names IAM's
 * endpoint. Nothing is changed. What a service itself would refuse, it does not know.
 */
export async function changesReached(
  context: AwsContext,
  rules: readonly Rule[],
  signal: AbortSignal,
): Promise<readonly ReachedPart[]> {
  const { account, region, endpoints } = context.aws;
  const place = { cloud: "aws" as const, account, region, partition: partitionOf(region) };
  const changes = rules.flatMap((rule) => changesOf(place, rule));
  const distinct = [...new Map(changes.map((change) => [`${change.action} ${change.words}`, change])).values()];
  if (distinct.length === 0) return [];
  if (endpoints.iam === undefined) return [{ what: "changes", ok: "unknown", because: UNASKED, hint: "" }];
  const parts: ReachedPart[] = [];
  for (const change of distinct) {
    const what = `${change.action} ${change.words}`;
    try {
      parts.push({ what, ...verdict(change, await inTime(simulated(context, change, signal), signal)) });
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      // The same will be said to every other.
      return [...parts, unanswered(context, error)];
    }
  }
  return parts;
}

async function simulated(context: AwsContext, change: JudgedChange, signal: AbortSignal): Promise<EvaluationResult> {
  const { account, partition, role } = context.aws;
  const entries: ContextEntry[] = Object.entries(change.context).map(([key, values]) => ({
    ContextKeyName: key,
    ContextKeyValues: [...values],
    ContextKeyType: key.startsWith("route53:") ? "stringList" : "string",
  }));
  const command = new SimulatePrincipalPolicyCommand({
    PolicySourceArn: `arn:${partition}:iam::${account}:role/${role}`,
    ActionNames: [change.action],
    ResourceArns: [change.resource],
    ContextEntries: entries,
  });
  const what = { service: "iam", table: DOCTOR_OPERATIONS, resource: change.resource } as const;
  const calls = readingCalls(context, what, { id: DOCTOR, signal }, IAM);
  const { EvaluationResults: results = [] } = await calls.send("iam", (client) => client.send(command));
  const [result] = results;
  if (results.length === 1 && result?.EvalActionName === change.action) return result;
  throw new CallFailed("malformed", "IAM did not say one thing of one action", "none");
}

function verdict({ action }: JudgedChange, result: EvaluationResult): Omit<ReachedPart, "what"> {
  if (result.EvalDecision === "allowed")
    return { ok: true, because: "IAM's simulator says that the role may; nothing was changed", hint: "" };
  return { ok: false, because: `IAM's simulator says that the role may not: ${whyOf(result)}`, hint: denied([action]) };
}

function whyOf(result: EvaluationResult): string {
  if (result.OrganizationsDecisionDetail?.AllowedByOrganizations === false) return "the organization denies it";
  if (result.PermissionsBoundaryDecisionDetail?.AllowedByPermissionsBoundary === false) return "its boundary denies it";
  return result.EvalDecision === "explicitDeny" ? "a policy denies it" : "no policy of it permits it";
}

function unanswered({ aws: { role } }: AwsContext, error: CallFailed): ReachedPart {
  const because = `not known: IAM's simulator was asked, and said nothing (${error.status})`;
  const hint =
    error.status === "denied"
      ? "Give the role iam:SimulatePrincipalPolicy on itself too, or take aws.endpoints.iam out of the config."
      : error.status === "missing"
        ? `IAM knows no role/${role}: one with a path cannot be asked about. Take aws.endpoints.iam out of the config.`
        : hintOf(error.status);
  return { what: "changes", ok: "unknown", because, hint };
}
