import type { DeployState, Executed, JudgedDeployArgs, Reconciled } from "../../providers/provider.ts";
import { type Command, type GateWish, gateFor, errand as plain, see } from "../providers/world.ts";
import { providerFor } from "./account.ts";
import type { Structure } from "./world/codec.ts";
import type { World } from "./world/world.ts";

/** Two images that moto knows: the one that the world's groups run, and another. */
export async function withImage(world: World): Promise<{ readonly before: string; readonly image: string }> {
  const found = await world.admin.call("ec2", "DescribeImages", { Owners: ["amazon"] });
  const ids = ((found["Images"] ?? []) as readonly Structure[]).map((one) => String(one["ImageId"])).sort();
  const before = "ami-12c6146b";
  const image = ids.find((id) => id !== before && /^ami-[0-9a-f]{8,17}$/.test(id));
  if (image === undefined) throw new Error("moto has no second image");
  return { before, image };
}

export async function imageCommand(
  world: World,
  image: string,
  group = world.group.name,
): Promise<Command<JudgedDeployArgs, DeployState>> {
  const { deploy } = await providerFor(world);
  if (deploy === undefined) throw new Error("the provider has no deploy");
  const digest = `sha256:${"ab".repeat(32)}`;
  return { action: deploy, args: { group, image, digest, manifest: digest }, resource: group };
}

export const errandOf = (unavailable: number, signal?: AbortSignal) => ({ ...plain(signal), unavailable });

/** Executes it from what is described, or `found`. */
export async function rolled(
  command: Command<JudgedDeployArgs, DeployState>,
  unavailable: number,
  more: { readonly found?: DeployState; readonly own?: ReturnType<typeof errandOf>; readonly wish?: GateWish } = {},
): Promise<Executed> {
  const { action, args, resource } = command;
  const found = more.found ?? (await see(command));
  const { gate } = gateFor(action, args, resource, more.wish);
  return action.execute(gate, args, found, more.own ?? errandOf(unavailable));
}

export function resumed(
  { action, args, resource }: Command<JudgedDeployArgs, DeployState>,
  found: DeployState,
  own: ReturnType<typeof errandOf>,
): Promise<Executed> {
  if (action.resume === undefined) throw new Error("it cannot be resumed");
  return action.resume(gateFor(action, args, resource).gate, args, found, own);
}

export function recalled(
  { action, args, resource }: Command<JudgedDeployArgs, DeployState>,
  found: DeployState,
  own: ReturnType<typeof errandOf>,
): Promise<Reconciled> {
  return action.reconcile(gateFor(action, args, resource, { phase: "read" }).gate, args, found, own);
}

export { see };
