import { CallFailed, Halted } from "../provider.ts";
import { type Manager, patchManager } from "./manager.ts";
import type { Rolling } from "./rolling.ts";
import type { Json } from "./template.ts";

/** Gives the group its own update policy back; what could not be is on record as changed. Throws Halted. */
export async function restored(work: Rolling, manager: Manager, policy: Json) {
  const wanted = plain(policy);
  if (JSON.stringify(wanted) === JSON.stringify(plain(manager.policy))) return [];
  try {
    await patchManager(work, work.errand.id, "policy", manager, { updatePolicy: wanted });
    return [];
  } catch (error) {
    if (error instanceof Halted) return [{ what: `${work.name} update policy`, from: wordOf(policy), to: "PROACTIVE" }];
    if (!(error instanceof CallFailed)) throw error;
    return error.effect === "none"
      ? [{ what: `${work.name} update policy`, from: wordOf(policy), to: "PROACTIVE" }]
      : [];
  }
}
function wordOf({ type }: Json): string {
  return typeof type === "string" ? type : "OPPORTUNISTIC";
}

/** Without what Google makes of it. */
function plain(policy: Json): Json {
  const of = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null) return value;
    const { calculated: _, ...rest } = value as Json;
    return rest;
  };
  const fields = ["type", "minimalAction", "mostDisruptiveAllowedAction", "maxSurge", "maxUnavailable"];
  return Object.fromEntries(fields.flatMap((name) => (policy[name] === undefined ? [] : [[name, of(policy[name])]])));
}
