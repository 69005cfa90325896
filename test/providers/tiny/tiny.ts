import type { DnsArgs, ScaleArgs } from "../../../policy/asked.ts";
import {
  type ActionProvider,
  type AuthorityState,
  type Executed,
  type Gate,
  Halted,
  type JudgedCertificateArgs,
  type Provider,
  type Reconciled,
  type RecordState,
  type ScaleState,
} from "../../../providers/provider.ts";
import { type Cloud, sign } from "./cloud.ts";

/** What a provider is when everything has been left out that can be: docs/PROVIDERS.md, "Write a provider". */
export const TABLE = [
  { operation: "tiny:Get", kind: "read", method: "GET" },
  { operation: "tiny:Put", kind: "change", method: "PUT" },
] as const;
const PLACE = { host: "tiny.example", region: "tiny" };
const PLACES = TABLE.map(({ method }) => ({ ...PLACE, method }));

export function get(cloud: Cloud, gate: Gate, resource: string, path: string): Promise<string | null> {
  return gate.call("tiny:Get", resource, async (leave) => {
    // Right before the first byte leaves, with where it really goes.
    leave({ ...PLACE, method: "GET" }, "writing");
    return { value: await cloud.get(path), request: null };
  });
}
export function put(cloud: Cloud, gate: Gate, resource: string, path: string, value: string): Promise<void> {
  return gate.call("tiny:Put", resource, async (leave) => {
    leave({ ...PLACE, method: "PUT" }, "writing");
    return { value: await cloud.put(path, value), request: null };
  });
}

export function succeeded(what: string, from: string | null, to: string, certificate: string | null = null): Executed {
  const issued = certificate === null ? null : [certificate];
  return { result: "succeeded", code: null, changed: [{ what, from, to }], certificate: issued, words: null };
}
export function failed(code: string): Executed {
  return { result: "failed", code, changed: [], certificate: null, words: null };
}
export function byState(executed: Executed): Reconciled {
  return { ...executed, known_by: "state" };
}
/** The owner's word before a change is an outcome. A breach of the gate, and what is our own mistake, go on up. */
export function unlessHalted(execute: () => Promise<Executed>): Promise<Executed> {
  return execute().catch((error: unknown) => {
    if (error instanceof Halted) return failed(error.why);
    throw error;
  });
}

export function tinyScale(cloud: Cloud): ActionProvider<ScaleArgs, ScaleState> {
  const read = (gate: Gate, group: string) => get(cloud, gate, group, `group/${group}`);
  return {
    operations: TABLE,
    places: () => PLACES,
    async describe(gate, { group }) {
      const count = await read(gate, group);
      return count === null ? { missing: `there is no group ${group}` } : { state: { count: Number(count) } };
    },
    execute: (gate, { group, count }, found) =>
      unlessHalted(async () => {
        // The policy judged another count.
        if ((await read(gate, group)) !== String(found.count)) return failed("concurrent");
        await put(cloud, gate, group, `group/${group}`, String(count));
        const after = await read(gate, group);
        return after === String(count) ? succeeded("count", String(found.count), after) : failed("not-true");
      }),
    async reconcile(gate, { group, count }, found) {
      const now = await read(gate, group);
      return byState(now === String(count) ? succeeded("count", String(found.count), now) : failed("not-done"));
    },
  };
}

export function tinyCertificate(cloud: Cloud): ActionProvider<JudgedCertificateArgs, AuthorityState> {
  const read = (gate: Gate, authority: string, path: string) => get(cloud, gate, authority, path);
  return {
    operations: TABLE,
    places: () => PLACES,
    async describe(gate, { authority }) {
      const subject = await read(gate, authority, `authority/${authority}`);
      return subject === null ? { missing: `there is no authority ${authority}` } : { state: { subject } };
    },
    execute: (gate, { authority, csrDer }, found, { id }) =>
      unlessHalted(async () => {
        if ((await read(gate, authority, `authority/${authority}`)) !== found.subject) return failed("concurrent");
        // Under the command's id: however often it is asked for, it is one certificate.
        await put(cloud, gate, authority, `issued/${id}`, await sign(csrDer, id));
        const issued = await read(gate, authority, `issued/${id}`);
        return issued === null ? failed("not-issued") : succeeded("certificate", null, id, issued);
      }),
    async reconcile(gate, { authority }, _found, { id }) {
      const issued = await read(gate, authority, `issued/${id}`);
      return byState(issued === null ? failed("not-issued") : succeeded("certificate", null, id, issued));
    },
  };
}

export function tinyDns(cloud: Cloud): ActionProvider<DnsArgs, RecordState> {
  const resourceOf = ({ zone, name }: DnsArgs) => `${zone}/${name}`;
  const read = (gate: Gate, args: DnsArgs) => get(cloud, gate, resourceOf(args), `record/${args.name}/${args.type}`);
  const textOf = ({ values, ttl }: { values: readonly string[]; ttl: number }) => JSON.stringify({ values, ttl });
  return {
    operations: TABLE,
    places: () => PLACES,
    async describe(gate, args) {
      if ((await get(cloud, gate, resourceOf(args), `zone/${args.zone}`)) === null)
        return { missing: `there is no zone ${args.zone}` };
      const record = await read(gate, args);
      return { state: { record: record === null ? null : JSON.parse(record) } };
    },
    execute: (gate, args, { record }) =>
      unlessHalted(async () => {
        const before = record === null ? null : textOf(record);
        if ((await read(gate, args)) !== before) return failed("concurrent");
        await put(cloud, gate, resourceOf(args), `record/${args.name}/${args.type}`, textOf(args));
        const after = await read(gate, args);
        return after === textOf(args) ? succeeded("record", before, after) : failed("not-true");
      }),
    async reconcile(gate, args) {
      const now = await read(gate, args);
      return byState(now === textOf(args) ? succeeded("record", null, now) : failed("not-done"));
    },
  };
}

export function tinyProvider(cloud: Cloud): Provider {
  return {
    name: "local",
    scale: tinyScale(cloud),
    "issue-certificate": tinyCertificate(cloud),
    "update-dns": tinyDns(cloud),
    bucket: null,
    ownGroups: [],
    prove: null,
    probe: async () => [],
  };
}
