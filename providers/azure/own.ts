import { z } from "zod";
import { CallFailed } from "../provider.ts";
import type { Metadata } from "./metadata.ts";

/** The machine that the agent itself runs on, by the metadata service: what needs no permission and no call of Azure's. */
export type OwnMachine = {
  readonly name: string;
  readonly subscription: string;
  readonly resourceGroup: string;
  /** The scale set that it is in; null when it is in none. */
  readonly scaleSet: string | null;
};

/** "Azure Instance Metadata Service", instance/compute; fields that are not used are let be. */
const Compute = z.object({
  name: z.string().regex(/^[\x21-\x7e]{1,128}$/),
  subscriptionId: z.string().regex(/^[0-9A-Fa-f-]{36}$/),
  resourceGroupName: z.string().regex(/^[A-Za-z0-9_.()-]{1,90}$/),
  vmScaleSetName: z.string().regex(/^[\x21-\x7e]{0,128}$/),
});

/** Throws CallFailed: whoever does not know its own machine must scale no group. */
export async function ownMachine(metadata: Metadata): Promise<OwnMachine> {
  const read = Compute.safeParse(
    await metadata.read("instance/compute", { "api-version": "2021-02-01", format: "json" }),
  );
  if (!read.success)
    throw new CallFailed("own-machine", "the metadata service does not say which machine this is", "none");
  const { name, subscriptionId, resourceGroupName, vmScaleSetName } = read.data;
  const scaleSet = vmScaleSetName === "" ? null : vmScaleSetName;
  return { name, subscription: subscriptionId.toLowerCase(), resourceGroup: resourceGroupName, scaleSet };
}
