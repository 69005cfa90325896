import type { Rule } from "../../policy/policy.ts";
import { CallFailed, type Gate, type OperationsTable } from "../provider.ts";
import { CHAIN_OPERATION, chainPlace, readAuthority } from "./authority.ts";
import { type AzureCalls, type AzureContext, azureCalls } from "./call.ts";
import { placesOf } from "./endpoints.ts";
import { readGroup } from "./group.ts";
import { CERTIFICATE_OPERATIONS, DNS_OPERATIONS, SCALE_OPERATIONS } from "./operations.ts";
import { readRecordSet } from "./recordSet.ts";

/** The reads that a rule's action makes, on what the rule names, for `doctor`. */
export type Reads = {
  /** As the gate compares it. */
  readonly resource: string;
  /** As a person reads it. */
  readonly what: string;
  readonly table: OperationsTable;
  readonly places: ReturnType<typeof placesOf>;
  readonly vault: string | null;
  /** What it found, in words. Throws CallFailed. */
  ask(context: AzureContext, calls: AzureCalls, gate: Gate): Promise<string>;
};

/** Each thing that the rules name once, in their order. */
export function readsOf(context: AzureContext, rules: readonly Rule[]): readonly Reads[] {
  const found = new Map(rules.map((rule) => readsOfRule(context, rule)).map((reads) => [reads.what, reads]));
  return [...found.values()];
}

function readsOfRule({ azure }: AzureContext, rule: Rule): Reads {
  switch (rule.allow) {
    case "scale":
    case "deploy":
      return {
        ...{ resource: rule.group, what: `scale set ${rule.group}`, table: SCALE_OPERATIONS, vault: null },
        places: placesOf(azure, "arm", ["GET"]),
        async ask(_, calls) {
          const group = await readGroup(calls, azure, rule.group);
          if (group === null)
            throw new CallFailed("missing", `there is no such scale set in ${azure.resource_group}`, "none");
          return `it has ${group.capacity} machines, and is ${group.state}`;
        },
      };
    case "issue-certificate": {
      const [vault = ""] = rule.authority.split("/");
      const chain = azure.authorities[rule.authority]?.chain;
      return {
        ...{ resource: rule.authority, what: `authority ${rule.authority}`, vault },
        table: [...CERTIFICATE_OPERATIONS, CHAIN_OPERATION],
        places: [...placesOf(azure, { vault }, ["GET"]), ...(chain === undefined ? [] : [chainPlace(chain)])],
        async ask(context, calls, gate) {
          const { chain: found } = await readAuthority({ context, calls, gate, authority: rule.authority });
          return `its certificate is of the vault's key, for ${found[0].subject}`;
        },
      };
    }
    case "update-dns": {
      const name = "below" in rule.names ? rule.names.below : (rule.names.exactly[0] ?? "");
      const [type = "A"] = rule.types;
      return {
        ...{ resource: `${rule.zone}/${name}`, what: `zone ${rule.zone}`, table: DNS_OPERATIONS, vault: null },
        places: placesOf(azure, "arm", ["GET"]),
        async ask(_, calls) {
          await calls.send("dns", (client) => client.zones.get(azure.resource_group, rule.zone));
          await readRecordSet(calls, azure, { zone: rule.zone, name, type, change: "create", values: [], ttl: 1 });
          return `it and its ${type} records can be read`;
        },
      };
    }
  }
}

/** The calls of one of these, in place of a command's. */
export function callsFor(context: AzureContext, gate: Gate, reads: Reads, signal: AbortSignal): AzureCalls {
  return azureCalls(context, gate, { id: "doctor", signal }, reads.resource, { vault: reads.vault });
}
