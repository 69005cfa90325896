import { CallFailed, Halted, INVENTORY, NO_IMAGE } from "../providers/provider.ts";
import { stopOnBreach } from "./breach.ts";
import { within } from "./deadline.ts";
import { COMMAND_DEADLINE_SECONDS } from "./limits.ts";
import { readGate } from "./readGate.ts";
import type { Road } from "./road.ts";
import type { SharedGroup } from "./wire/protocol.ts";

/**
 * What one group runs, through a gate that lets nothing but deploy's reads of this group through. Null where the provider has no deploy, or
 * it cannot be read now.
 */
export async function observeGroup(group: string, road: Road, stop: AbortSignal): Promise<SharedGroup | null> {
  const { deploy } = road.provider;
  if (deploy === undefined || road.provider.ownGroups.includes(group)) return null;
  const args = { ...NO_IMAGE, group };
  const { operations } = deploy;
  const gate = readGate(
    { operations, places: deploy.places(args), beside: deploy.beside?.(args) ?? [], resource: group },
    road,
  );
  return within(
    road.host.clock,
    COMMAND_DEADLINE_SECONDS,
    async (signal) => {
      try {
        const observed = await deploy.observe(gate, { group }, { id: INVENTORY, signal });
        stopOnBreach(gate.breach(), null, null, road);
        return "state" in observed ? { group, ...observed.state } : null;
      } catch (error) {
        stopOnBreach(gate.breach(), error, null, road);
        if (error instanceof CallFailed || error instanceof Halted) return null;
        throw error;
      }
    },
    stop,
  );
}
