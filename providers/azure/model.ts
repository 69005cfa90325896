import type { VirtualMachineScaleSetVM } from "@azure/arm-compute";
import { CallFailed } from "../provider.ts";
import { held } from "./group.ts";
import { imageText } from "./imageName.ts";
import { MAX_INSTANCES } from "./limits.ts";
import type { Rolling } from "./rolling.ts";

/** One scale set as a deploy sees it. */
export type Model = {
  /** For If-Match: what the set was when it was read. */
  readonly etag: string;
  readonly state: string;
  /** What it makes machines from, as `imageText` writes it; null: it is said in no way that is known. */
  readonly image: string | null;
  readonly capacity: number;
  readonly machines: readonly Machine[];
};
export type Machine = {
  readonly id: string;
  /** Azure's word: "Succeeded", "Updating", "Failed", … */
  readonly state: string;
  readonly image: string | null;
  /** It runs, nothing is being done to it, its model is the set's, and its health extension, where it has one, says so. */
  readonly well: boolean;
  readonly latest: boolean;
  /** From all that is done to the set: an operator's word. */
  readonly kept: boolean;
};

/** Null when there is none. Throws CallFailed, also for a set whose machines are not upgraded by hand. */
export async function readModel({ calls, context, name, known }: Rolling): Promise<Model | null> {
  const { azure } = context;
  try {
    const set = await calls.send("compute", (client) => client.virtualMachineScaleSets.get(azure.resource_group, name));
    const own = held(set, azure, name);
    const { mode, automaticOSUpgradePolicy: automatic } = set.upgradePolicy ?? {};
    if (mode !== "Manual" || automatic?.enableAutomaticOSUpgrade === true)
      throw new CallFailed(
        "group-upgrades",
        `its upgrade policy is ${mode ?? "not said"}: Azure itself would decide how many machines are out of service`,
        "none",
      );
    const image = imageText(set.virtualMachineProfile?.storageProfile?.imageReference);
    const machines = await machinesOf(calls, azure.resource_group, name);
    for (const { id } of machines) known.machines.add(id);
    return { ...own, image, machines };
  } catch (error) {
    if (error instanceof CallFailed && error.status === "missing") return null;
    throw error;
  }
}

async function machinesOf(calls: Rolling["calls"], group: string, name: string): Promise<readonly Machine[]> {
  return calls.send("compute", async (client) => {
    const found: Machine[] = [];
    for await (const one of client.virtualMachineScaleSetVMs.list(group, name, { expand: "instanceView" })) {
      found.push(machineOf(one));
      if (found.length > MAX_INSTANCES) throw new CallFailed("too-many-machines", `over ${MAX_INSTANCES}`, "none");
    }
    return found;
  });
}

function machineOf(one: VirtualMachineScaleSetVM): Machine {
  const { instanceId: id = "", provisioningState: state = "", instanceView: view, latestModelApplied } = one;
  if (!/^[A-Za-z0-9_-]{1,80}$/.test(id)) throw new CallFailed("malformed", "a machine has no id", "none");
  const codes = (view?.statuses ?? []).map(({ code = "" }) => code.toLowerCase());
  const health = view?.vmHealth?.status?.code?.toLowerCase();
  const latest = latestModelApplied === true;
  const runs = codes.includes("powerstate/running") && (health === undefined || health === "healthstate/healthy");
  return {
    id,
    state: /^[A-Za-z]{1,32}$/.test(state) ? state : "unknown",
    image: imageText(one.storageProfile?.imageReference),
    well: state === "Succeeded" && runs,
    latest,
    kept: one.protectionPolicy?.protectFromScaleSetActions === true,
  };
}
