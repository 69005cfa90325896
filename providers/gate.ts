import type { CallPlace, Gate, Ground, Leave, OperationsTable } from "./provider.ts";
import { CallFailed, GateBreach, Halted } from "./provider.ts";

/** One call as the outcome lists it; the same shape as the log's `operations`. Durations in milliseconds. */
export type GateOperation = {
  operation: string;
  resource: string;
  request: string | null;
  status: string;
  milliseconds: number;
  changes: boolean;
};

export type GateOptions = {
  readonly table: OperationsTable;
  readonly places: readonly CallPlace[];
  readonly resource: string;
  /** What the rule covers besides the resource. */
  readonly beside?: readonly Ground[];
  /** `read`: nothing may be changed, whatever the tables hold. `beside`: nothing but what lies beside the resource. */
  readonly phase: "read" | "beside" | "all";
  /** Looked at right before the bytes of each change leave. Throws Halted. */
  readonly beforeChange: () => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly record: (operation: GateOperation) => void;
};

/**
 * The gate of one command (DESIGN section 6). `call` and `leave` throw GateBreach when the provider tries what the permitting rule does
 * not name, and Halted when the owner suspended. A breach sticks: every later call throws it too, also when the provider caught it,
 * and `breach` tells it to the road. Only calls whose bytes left are recorded.
 */
export function makeGate(options: GateOptions): Gate & { breach(): GateBreach | null } {
  let stuck: GateBreach | null = null;
  const breach = (code: GateBreach["code"], operation: string, resource: string): GateBreach => {
    stuck ??= new GateBreach(code, operation, resource);
    return stuck;
  };
  const { table, places, phase } = options;
  const grounds = [
    { table, places, resources: [options.resource], changes: phase === "all" },
    ...(options.beside ?? []).map((ground) => ({ ...ground, changes: phase !== "read" })),
  ];
  /** The one ground that has the operation and the resource both, and its row. */
  const begin = (operation: string, resource: string) => {
    if (stuck !== null) throw stuck;
    const having = grounds.filter((ground) => ground.table.some((row) => row.operation === operation));
    if (having.length === 0) throw breach("gate.operation", operation, resource);
    const ground = having.find(({ resources }) => resources.includes(resource));
    if (ground === undefined) throw breach("gate.resource", operation, resource);
    const row = ground.table.find((candidate) => candidate.operation === operation);
    if (row === undefined || (row.kind === "change" && !ground.changes))
      throw breach("gate.operation", operation, resource);
    return { row, allowed: ground.places };
  };

  return {
    breach: () => stuck,
    async call(operation, resource, send) {
      const { row, allowed } = begin(operation, resource);
      const changes = row.kind === "change";
      const started = options.now();
      let open = true;
      let left = false;
      const leave: Leave = (place, moment) => {
        if (stuck !== null) throw stuck;
        if (!open || place.method !== row.method || !allowed.some((one) => samePlace(one, place)))
          throw breach("gate.place", operation, resource);
        if (changes) options.beforeChange();
        // A look ahead lets nothing out: when the switch stops the call after it, or no connection comes about, no call was made.
        if (moment === "writing") left = true;
      };
      const record = (status: string, request: string | null): void => {
        const milliseconds = Math.max(0, Math.round(options.now() - started));
        options.record({
          operation,
          resource,
          request: request?.slice(0, 256) ?? null,
          status: status.slice(0, 64),
          milliseconds,
          changes,
        });
      };
      try {
        const { value, request } = await send(leave);
        if (!left) throw breach("gate.place", operation, resource);
        record("ok", request);
        if (stuck !== null) throw stuck;
        return value;
      } catch (error) {
        if (left && !(error instanceof GateBreach)) recordFailure(error, record);
        throw stuck ?? error;
      } finally {
        open = false;
      }
    },
  };
}

function samePlace(a: CallPlace, b: CallPlace): boolean {
  return a.host === b.host && a.region === b.region && a.method === b.method;
}

function recordFailure(error: unknown, record: (status: string, request: string | null) => void): void {
  if (error instanceof CallFailed) record(error.status, error.request);
  else record(error instanceof Halted ? error.why : "error", null);
}
