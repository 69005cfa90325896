import { makeGate } from "../gate.ts";
import { CallFailed, type Errand, type OperationRow, type OperationsTable } from "../provider.ts";
import { type AwsCalls, type AwsContext, awsCalls } from "./call.ts";
import type { Makers } from "./clients.ts";
import { placesOf } from "./endpoints.ts";
import type { Service } from "./operations.ts";

/** Calls of one service about one resource that belong to no command: through a gate that lets only the table's reads out. */
export function readingCalls(
  context: AwsContext,
  what: { readonly service: Service; readonly table: OperationsTable; readonly resource: string },
  errand: Errand,
  makers?: Makers,
): AwsCalls {
  const { service, table, resource } = what;
  const gate = makeGate({
    table,
    places: placesOf(context.aws, service, methodsOf(table)),
    resource,
    phase: "read",
    beforeChange: () => undefined,
    now: () => context.host.clock.monotonic(),
    record: () => undefined,
  });
  return awsCalls(context, gate, errand, resource, { makers });
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
