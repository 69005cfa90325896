import { makeGate } from "../gate.ts";
import { CallFailed, type OperationRow, type OperationsTable } from "../provider.ts";
import { type AwsCalls, type AwsContext, awsCalls } from "./call.ts";
import type { Makers } from "./clients.ts";
import { placesOf } from "./endpoints.ts";
import type { Service } from "./operations.ts";

/** In place of a command's id in the user agent. */
export const DOCTOR = "doctor";

/** Calls that `doctor` makes of one service about one resource: through a gate that lets only reads of the table out. */
export function doctorCalls(
  context: AwsContext,
  service: Service,
  table: OperationsTable,
  resource: string,
  signal: AbortSignal,
  makers?: Makers,
): AwsCalls {
  const gate = makeGate({
    table,
    places: placesOf(context.aws, service, methodsOf(table)),
    resource,
    phase: "read",
    beforeChange: () => undefined,
    now: () => context.host.clock.monotonic(),
    record: () => undefined,
  });
  return awsCalls(context, gate, { id: DOCTOR, signal }, resource, makers);
}

function methodsOf(table: OperationsTable): readonly string[] {
  const reads = table.filter((row: OperationRow) => row.kind === "read");
  return [...new Set(reads.map(({ method }) => method))];
}

/** The answer, or CallFailed `timeout` when the signal comes first: what still runs then is left behind. */
export function inTime<T>(asking: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new CallFailed("timeout", "no answer in time", "none"));
    if (signal.aborted) late();
    signal.addEventListener("abort", late, { once: true });
    asking.then(resolve, reject).finally(() => signal.removeEventListener("abort", late));
  });
}
