import { type AutoScalingGroup, DescribeAutoScalingGroupsCommand } from "@aws-sdk/client-auto-scaling";
import { CallFailed } from "../provider.ts";
import type { AwsCalls } from "./call.ts";
import { MAX_PAGES } from "./limits.ts";
import type { Own } from "./own.ts";
import { aloneMark } from "./resource.ts";

/**
 * A new version of a launch template is `$Latest` at once, for everybody: what no rule names would launch it next, without steps, health or a
 * way back. Once this returns, the gate lets a version of `template` be made for the group `name`. Throws CallFailed as `judgeOthers` does.
 */
export async function alone(calls: AwsCalls, own: Own, name: string, template: string): Promise<void> {
  await judgeOthers(await everyGroup(calls), own, name, template);
  calls.known.add(aloneMark(template));
}

/** The same for `doctor`, of the template that the group is found to launch from. Throws CallFailed. */
export async function aloneNow(calls: AwsCalls, own: Own, name: string): Promise<string> {
  const all = await everyGroup(calls);
  const group = all.find(({ AutoScalingGroupName: each }) => each === name);
  if (group === undefined) throw new CallFailed("missing", "there is no such group", "none");
  const template = group.LaunchTemplate?.LaunchTemplateId;
  if (template === undefined)
    throw new CallFailed("group-launch", "it does not launch from one launch template", "none");
  await judgeOthers(all, own, name, template);
  return `no other of ${all.length} groups launches the newest version of its launch template`;
}

/**
 * Throws CallFailed: `own-template` when the group that this machine is in launches from the template at all (invariant 9), `template-shared`
 * when another group than `name` launches its `$Latest`. What launches from it outside of Auto Scaling is not seen.
 */
async function judgeOthers(all: readonly AutoScalingGroup[], own: Own, name: string, template: string): Promise<void> {
  const [instance, ownName] = [await own.instance(), await own.group()];
  for (const group of all) {
    const { AutoScalingGroupName: other = "a group without a name", Instances: instances = [] } = group;
    const uses = launches(group).filter(({ LaunchTemplateId: id }) => id === undefined || id === template);
    if (other === name || uses.length === 0) continue;
    if (other === ownName || instances.some(({ InstanceId: id }) => id === instance))
      throw new CallFailed("own-template", `${other}, which the agent itself runs in, launches from it too`, "none");
    if (uses.some(({ Version: version = "$Default" }) => !/^(?:\d+|\$Default)$/.test(version)))
      throw new CallFailed("template-shared", `${other} launches the newest version of the same template`, "none");
  }
}

type Launch = NonNullable<AutoScalingGroup["LaunchTemplate"]>;

/** All that a group may launch from. What names a template without its id could be any. */
function launches({ LaunchTemplate: one, MixedInstancesPolicy: mixed }: AutoScalingGroup): readonly Launch[] {
  const { LaunchTemplateSpecification: base, Overrides: overrides = [] } = mixed?.LaunchTemplate ?? {};
  const all = [one, base, ...overrides.map(({ LaunchTemplateSpecification: each }) => each)];
  return all.filter((each) => each !== undefined);
}

async function everyGroup(calls: AwsCalls): Promise<readonly AutoScalingGroup[]> {
  const all: AutoScalingGroup[] = [];
  let token: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const input = token === undefined ? {} : { NextToken: token };
    const answer = await calls.send("autoscaling", (client) =>
      client.send(new DescribeAutoScalingGroupsCommand(input)),
    );
    all.push(...(answer.AutoScalingGroups ?? []));
    token = answer.NextToken;
    if (token === undefined || token === "") return all;
  }
  throw new CallFailed("too-many-pages", `the region's groups were not on ${MAX_PAGES} pages`, "none");
}
