import { GateBreach } from "../providers/provider.ts";
import { type Road, write } from "./road.ts";

/** Those that are on record: one may come up by more than one way. */
const recorded = new WeakSet<GateBreach>();

/**
 * A provider tried what its rule does not name. That is our mistake: it is on record before the process ends (exit 70); no byte has left.
 * `command`: its id; null when it was none's, such as a look at the owner's folder.
 */
export function recordBreach(breach: GateBreach, command: string | null, road: Pick<Road, "log" | "appended">): void {
  if (recorded.has(breach)) return;
  recorded.add(breach);
  write(road, {
    kind: "gate",
    code: breach.code,
    command,
    operation: breach.operation.slice(0, 128),
    resource: breach.resource.slice(0, 1024),
  });
}

/** Records and throws the breach that a gate holds, or that of another gate within the call: whose the credentials are is asked through one. */
export function stopOnBreach(held: GateBreach | null, thrown: unknown, command: string | null, road: Road): void {
  const breach = held ?? (thrown instanceof GateBreach ? thrown : null);
  if (breach === null) return;
  recordBreach(breach, command, road);
  throw breach;
}
