import { makeGate } from "../providers/gate.ts";
import type { Work } from "./action.ts";
import type { Road } from "./road.ts";

/** A gate that lets nothing but the reads of this work through. They stand in no outcome: nothing was changed by them. */
export function readGate(
  { operations, places, beside, resource }: Pick<Work, "operations" | "places" | "beside" | "resource">,
  road: Pick<Road, "host">,
): ReturnType<typeof makeGate> {
  return makeGate({
    table: operations,
    places,
    beside,
    resource,
    phase: "read",
    beforeChange: () => undefined,
    now: () => road.host.clock.monotonic(),
    record: () => undefined,
  });
}
