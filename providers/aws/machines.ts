import { DescribeImagesCommand, DescribeInstancesCommand } from "@aws-sdk/client-ec2";
import { CallFailed, type DeployState, type UnfitArtifact } from "../provider.ts";
import type { AwsCalls } from "./call.ts";
import { type Group, inService } from "./group.ts";
import { INSTANCES_AT_ONCE } from "./limits.ts";
import { isImage } from "./template.ts";

/** A group, and the image that each of its instances runs, by EC2's own account of them. */
export type Running = { readonly group: Group; readonly images: ReadonlyMap<string, string> };

/** Throws CallFailed, `missing` when an instance went meanwhile. */
export async function runningOf(calls: AwsCalls, group: Group): Promise<Running> {
  const images = new Map<string, string>();
  const ids = group.instances.map(({ id }) => id);
  for (let from = 0; from < ids.length; from += INSTANCES_AT_ONCE) {
    const command = new DescribeInstancesCommand({ InstanceIds: ids.slice(from, from + INSTANCES_AT_ONCE) });
    const { Reservations: all = [] } = await calls.send("ec2", (client) => client.send(command));
    for (const { InstanceId: id = "", ImageId: image = "" } of all.flatMap(({ Instances = [] }) => Instances))
      if (isImage(image)) images.set(id, image);
  }
  return { group, images };
}

/** The one image that every instance runs; null when there are several, or no instance, or it cannot be told. */
export function imageOf({ group, images }: Running): string | null {
  const run = new Set(group.instances.map(({ id }) => images.get(id) ?? null));
  const [image = null] = run;
  return run.size === 1 ? image : null;
}

export function stateOf(running: Running): DeployState {
  const { group } = running;
  return { image: imageOf(running), count: group.instances.length, healthy: inService(group).length };
}

/** Null: the image is there, and EC2 would launch from it. Throws CallFailed. */
export async function unfit(calls: AwsCalls, image: string): Promise<UnfitArtifact | null> {
  if (!isImage(image))
    return {
      artifact: "malformed",
      because: `${image} is not the id of an AMI`,
      hint: "Have the manifest's parameters name the AMI of this region: ami-….",
    };
  const missing = (because: string): UnfitArtifact => ({
    artifact: "missing",
    because,
    hint: "Share or copy the AMI into this account and region, then send the command again.",
  });
  try {
    const command = new DescribeImagesCommand({ ImageIds: [image] });
    const { Images: found = [] } = await calls.send("ec2", (client) => client.send(command));
    const one = found.find(({ ImageId: id }) => id === image);
    if (one === undefined) return missing(`there is no ${image} here`);
    return one.State === "available" ? null : missing(`${image} is ${one.State ?? "in no state"}`);
  } catch (error) {
    if (error instanceof CallFailed && error.status === "missing") return missing(`there is no ${image} here`);
    throw error;
  }
}
