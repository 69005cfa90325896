import type { VirtualMachineScaleSet, VirtualMachineScaleSetVM } from "@azure/arm-compute";
import type { AzureConfig } from "../../agent/providerConfig/azure.ts";
import { CallFailed } from "../provider.ts";
import type { AzureCalls } from "./call.ts";
import { MAX_INSTANCES } from "./limits.ts";

export type Instance = {
  readonly id: string;
  /** Azure's word for where it is: "Creating", "Updating", "Succeeded", "Deleting", "Failed", … */
  readonly state: string;
  /** From scale-in: Azure will not choose it when the set shrinks. */
  readonly kept: boolean;
};
/** One scale set as it was read. */
export type Group = {
  readonly capacity: number;
  /** For If-Match: what the set was when it was read. */
  readonly etag: string;
  readonly state: string;
  readonly instances: readonly Instance[];
};

const NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9_-])?$/;

/** The scale set by its name; null when there is none. Throws CallFailed, also for a set that a count of machines does not describe. */
export async function readGroup(calls: AzureCalls, azure: AzureConfig, name: string): Promise<Group | null> {
  if (!NAME.test(name)) return null;
  let set: VirtualMachineScaleSet;
  try {
    set = await calls.send("compute", (client) => client.virtualMachineScaleSets.get(azure.resource_group, name));
  } catch (error) {
    if (error instanceof CallFailed && error.status === "missing") return null;
    throw error;
  }
  const own = held(set, azure, name);
  const listed = await calls.send("compute", async (client) => {
    const found: VirtualMachineScaleSetVM[] = [];
    for await (const one of client.virtualMachineScaleSetVMs.list(azure.resource_group, name)) {
      found.push(one);
      if (found.length > MAX_INSTANCES) throw new CallFailed("too-many-machines", `over ${MAX_INSTANCES}`, "none");
    }
    return found;
  });
  return { ...own, instances: listed.map(instanceOf) };
}

/** What of it is not the set that the config and a rule speak of is no group of ours. */
export function held(set: VirtualMachineScaleSet, azure: AzureConfig, name: string): Omit<Group, "instances"> {
  const id = `/subscriptions/${azure.subscription}/resourceGroups/${azure.resource_group}/providers/Microsoft.Compute/virtualMachineScaleSets/${name}`;
  if (set.id?.toLowerCase() !== id.toLowerCase()) throw malformed("what was read is another scale set");
  if (set.location.toLowerCase().replaceAll(" ", "") !== azure.location)
    throw new CallFailed("group-elsewhere", `the scale set is in ${set.location}`, "none");
  // Its machines are virtual machines of their own, which may be put in and taken out by hand: a capacity does not count them.
  if (set.orchestrationMode === "Flexible")
    throw new CallFailed("group-flexible", "its orchestration is flexible", "none");
  const capacity = set.sku?.capacity;
  if (capacity === undefined || !Number.isSafeInteger(capacity) || capacity < 0) throw malformed("it has no capacity");
  if (set.etag === undefined || !/^[\x21-\x7e]{1,256}$/.test(set.etag)) throw malformed("it has no etag");
  return { capacity, etag: set.etag, state: wordOf(set.provisioningState) };
}

function instanceOf(one: VirtualMachineScaleSetVM): Instance {
  const { instanceId = "" } = one;
  if (!/^[A-Za-z0-9_-]{1,80}$/.test(instanceId)) throw malformed("a machine has no id");
  const kept =
    one.protectionPolicy?.protectFromScaleIn === true || one.protectionPolicy?.protectFromScaleSetActions === true;
  return { id: instanceId, state: wordOf(one.provisioningState), kept };
}

function malformed(words: string): CallFailed {
  return new CallFailed("malformed", words, "none");
}

/** It goes into entries: a word, as Azure's own are. */
function wordOf(value: unknown): string {
  return typeof value === "string" && /^[A-Za-z]{1,32}$/.test(value) ? value : "unknown";
}

export function provisioned(group: Group): readonly Instance[] {
  return group.instances.filter(({ state }) => state === "Succeeded");
}

/** As many as were asked for are provisioned, none is on its way in or out, and the set itself is done. */
export function isTrue(group: Group, wanted: number): boolean {
  const whole = provisioned(group).length;
  return (
    group.capacity === wanted && group.state === "Succeeded" && whole === wanted && whole === group.instances.length
  );
}
