import type { DeployState, Executed, JudgedDeployArgs, Provider, Reconciled } from "../../providers/provider.ts";
import { type Command, type GateWish, gateFor, errand as plain, see } from "./world.ts";

export type Deploy = Command<JudgedDeployArgs, DeployState>;

export function deployOf({ deploy }: Provider, group: string, image: string): Deploy {
  if (deploy === undefined) throw new Error("the provider has no deploy");
  const digest = `sha256:${"ab".repeat(32)}`;
  return { action: deploy, args: { group, image, digest, manifest: digest }, resource: group };
}

export const errandOf = (unavailable: number, signal?: AbortSignal) => ({ ...plain(signal), unavailable });
export type DeployErrand = ReturnType<typeof errandOf>;

/** Executes it from what is described, or `found`. */
export async function rolled(
  command: Deploy,
  unavailable: number,
  more: { readonly found?: DeployState; readonly own?: DeployErrand; readonly wish?: GateWish } = {},
): Promise<Executed> {
  const { action, args, resource } = command;
  const found = more.found ?? (await see(command));
  const { gate } = gateFor(action, args, resource, more.wish);
  return action.execute(gate, args, found, more.own ?? errandOf(unavailable));
}

export function resumed({ action, args, resource }: Deploy, found: DeployState, own: DeployErrand): Promise<Executed> {
  if (action.resume === undefined) throw new Error("it cannot be resumed");
  return action.resume(gateFor(action, args, resource).gate, args, found, own);
}

export function recalled(
  { action, args, resource }: Deploy,
  found: DeployState,
  own: DeployErrand,
): Promise<Reconciled> {
  return action.reconcile(gateFor(action, args, resource, { phase: "read" }).gate, args, found, own);
}

/** What `describe` says, whatever it is. */
export function described({ action, args, resource }: Deploy) {
  return action.describe(gateFor(action, args, resource, { phase: "read" }).gate, args, errandOf(1));
}

export { see };
