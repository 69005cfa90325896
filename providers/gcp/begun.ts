import { z } from "zod";
import { unknown } from "../outcome.ts";
import { CallFailed, type Errand } from "../provider.ts";
import type { GcpCalls, GcpContext } from "./call.ts";
import { endpointOf } from "./endpoints.ts";
import { PASSING } from "./failure.ts";
import { jsonCall } from "./jsonCall.ts";
import { LOOK_FIRST_MS, LOOK_MAX_MS, SETTLES_WITHIN_MS } from "./limits.ts";
import { type Awaited, endOf } from "./wait.ts";

/** Where operations lie: `zones/Z`, `regions/R` or `global`. */
export type Place = {
  readonly context: GcpContext;
  readonly calls: GcpCalls;
  readonly errand: Errand;
  readonly at: string;
};

const Operation = z.object({
  name: z.string().regex(/^[a-z][-a-z0-9]{0,127}$/),
  status: z.string().default(""),
  clientOperationId: z.string().optional(),
  error: z
    .object({
      errors: z.array(z.object({ code: z.string().default(""), message: z.string().default("") })).default([]),
    })
    .optional(),
  httpErrorMessage: z.string().optional(),
});
const Listed = z.object({ items: z.array(Operation).default([]) });

function urlOf({ context, at }: Place, name = ""): URL {
  const path = `/compute/v1/projects/${context.gcp.project}/${at}/operations${name === "" ? "" : `/${name}`}`;
  return new URL(path, endpointOf(context.gcp, "compute"));
}
/** As the gate knows it: this command may ask about what its own call was answered with. */
function note({ calls, at }: Place, name: string): string {
  calls.known.add(`${at === "global" ? "global/global" : at}/operations/${name}`);
  return name;
}

/** The operation that this request id began; null when Google knows none. Throws CallFailed. */
export async function begunBy(place: Place, token: string): Promise<string | null> {
  const query = { filter: `clientOperationId = "${token}"` };
  const call = { calls: place.calls, service: "compute", url: urlOf(place), method: "GET", query } as const;
  const { items } = await jsonCall(call, Listed);
  const own = items.find(({ clientOperationId: id }) => id === token);
  return own === undefined ? null : note(place, own.name);
}

/**
 * Waits until the operation has ended. `name`: null when the answer of its call was lost: then it is looked for by its token for as long as reads
 * may lag behind. Halted by the deadline, it says that it is found.
 */
export async function awaitBegun(place: Place, name: string | null, token: string): Promise<Awaited> {
  const { clock } = place.context.host;
  const { signal } = place.errand;
  const until = clock.monotonic() + SETTLES_WITHIN_MS;
  let operation = name === null ? null : note(place, name);
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
    try {
      operation ??= await begunBy(place, token);
      if (operation === null && (signal.aborted || clock.monotonic() >= until)) return { found: false };
      if (operation !== null) {
        const call = { calls: place.calls, service: "compute", url: urlOf(place, operation), method: "GET" } as const;
        const { status, error = null, httpErrorMessage = null } = await jsonCall(call, Operation);
        const ended = endOf({ status, error, httpErrorMessage });
        if (ended !== null || signal.aborted) return ended ?? { found: true };
      }
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      if (signal.aborted || !PASSING.has(error.status)) return { failed: unknown(error.status, [], error.words) };
    }
    await clock.sleep(wait, signal);
  }
}
