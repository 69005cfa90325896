import type { DnsArgs, ScaleArgs } from "../../policy/asked.ts";
import { byState, failed, stoppedBy, succeeded, unknown } from "../../providers/outcome.ts";
import {
  type ActionProvider,
  CallFailed,
  type Errand,
  type Executed,
  type Gate,
  type Provider,
  type RecordState,
  type ScaleState,
} from "../../providers/provider.ts";
import type { Cloud, CloudAnswer } from "./cloud.ts";
import type { FoundState, Wanted } from "./rules.ts";

const PLACE = { host: "cloud.example", region: "eu-1" };
const READ = "world.resource.read";
const CHANGE = "world.resource.change";
const KNOWN = "world.token.read";
const OPERATIONS = [
  { operation: READ, kind: "read", method: "GET" },
  { operation: KNOWN, kind: "read", method: "GET" },
  { operation: CHANGE, kind: "change", method: "PUT" },
] as const;

/** What the world is told of one process's dealings. */
export type Watched = {
  readonly cloud: Cloud;
  sleep(milliseconds: number): Promise<void>;
  /** Calls `act` with the process's answer; never when the process has died. */
  deliver(act: () => void): void;
  /** `execute` was entered. */
  entered(id: string, wanted: Wanted, found: FoundState): void;
  /** The first byte of a change is about to leave. */
  leaving(id: string, resource: string): void;
};

/** A cloud's provider as the contract has it: tokens from the command's id, waiting until it is so, `reconcile` by the token. */
export function worldProvider(watched: Watched): Provider {
  const { cloud } = watched;
  const asked = async <T>(begin: (deliver: (answer: CloudAnswer<T>) => void) => void): Promise<T> => {
    const answer = await new Promise<CloudAnswer<T>>((resolve) => begin((one) => watched.deliver(() => resolve(one))));
    if ("ok" in answer) return answer.ok;
    if ("throttled" in answer) throw new CallFailed("throttled", "Rate exceeded", "none");
    throw new CallFailed("timeout", "no answer", "unknown");
  };
  const place = (method: string) => ({ ...PLACE, method });
  const read = (gate: Gate, resource: string, key: string): Promise<string | null> =>
    gate.call(READ, resource, async (leave) => {
      leave(place("GET"), "writing");
      return { value: await asked<string | null>((deliver) => cloud.read(key, deliver)), request: null };
    });
  const change = (gate: Gate, resource: string, key: string, value: string | null, errand: Errand): Promise<null> =>
    gate.call(CHANGE, resource, async (leave) => {
      leave(place("PUT"), "writing");
      watched.leaving(errand.id, key);
      const done = await asked<null>((deliver) => cloud.change(key, value, errand.id, deliver));
      return { value: done, request: `request-${errand.id}` };
    });

  async function execute(
    gate: Gate,
    resource: string,
    key: string,
    to: string | null,
    from: string | null,
    errand: Errand,
  ): Promise<Executed> {
    const changed = [{ what: key, from, to }];
    let mayHaveActed = false;
    for (let attempt = 0; ; attempt++) {
      try {
        await change(gate, resource, key, to, errand);
        break;
      } catch (error) {
        // Whether it had its effect is not known: once more by the same token, which acts once.
        const again = error instanceof CallFailed && attempt < 1;
        mayHaveActed ||= error instanceof CallFailed && error.effect === "unknown";
        if (!again) {
          const stopped = stoppedBy(error);
          return mayHaveActed ? unknown("timeout") : stopped;
        }
        await watched.sleep(1000 * 2 ** attempt);
      }
    }
    return succeeded(changed);
  }

  async function reconcile(gate: Gate, resource: string, key: string, errand: Errand) {
    const acted = await gate.call(KNOWN, resource, async (leave) => {
      leave(place("GET"), "writing");
      return { value: await asked<boolean>((deliver) => cloud.known(errand.id, deliver)), request: null };
    });
    const done = acted ? succeeded([{ what: key, from: null, to: null }]) : failed("not-begun");
    return { ...byState(done), known_by: "token" as const };
  }

  const scale: ActionProvider<ScaleArgs, ScaleState> = {
    operations: OPERATIONS,
    places: () => [place("GET"), place("PUT")],
    async describe(gate, { group }) {
      const value = await read(gate, group, `group:${group}`);
      return value === null ? { missing: "no such group" } : { state: { count: Number(value) } };
    },
    execute(gate, args, state, errand) {
      watched.entered(errand.id, { action: "scale", ...args }, { count: state.count });
      return execute(gate, args.group, `group:${args.group}`, String(args.count), String(state.count), errand);
    },
    reconcile: (gate, { group }, _state, errand) => reconcile(gate, group, `group:${group}`, errand),
  };
  const resourceOf = ({ zone, name }: DnsArgs): string => `${zone}/${name}`;
  const dns: ActionProvider<DnsArgs, RecordState> = {
    operations: OPERATIONS,
    places: () => [place("GET"), place("PUT")],
    async describe(gate, args) {
      const value = await read(gate, resourceOf(args), `record:${resourceOf(args)}`);
      return { state: { record: value === null ? null : { values: JSON.parse(value) as string[], ttl: 60 } } };
    },
    execute(gate, args, { record }, errand) {
      const { name, change: kind, values } = args;
      watched.entered(
        errand.id,
        { action: "update-dns", name, change: kind, values },
        { record: record?.values ?? null },
      );
      const to = kind === "delete" ? null : JSON.stringify(values);
      const from = record === null ? null : JSON.stringify(record.values);
      return execute(gate, resourceOf(args), `record:${resourceOf(args)}`, to, from, errand);
    },
    reconcile: (gate, args, _state, errand) => reconcile(gate, resourceOf(args), `record:${resourceOf(args)}`, errand),
  };
  const nobody = async (): Promise<never> => {
    throw new Error("this world has no authority");
  };
  return {
    name: "local",
    scale,
    "update-dns": dns,
    "issue-certificate": {
      operations: [],
      places: () => [],
      describe: nobody,
      execute: nobody,
      reconcile: nobody,
    },
    bucket: null,
    prove: null,
    ownGroups: [],
    probe: async () => [],
  };
}
