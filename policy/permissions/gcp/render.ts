import { inDns } from "../../acme.ts";
import type { Policy, Rule } from "../../policy.ts";
import type { Fault } from "../cloud.ts";
import { type Binding, bindingsOf, type GcpPlace } from "./bindings.ts";
import { bucketBindings } from "./bucket.ts";

/** A custom role of exactly these permissions, and the resources on which it is bound to the agent's service account. */
export type Role = {
  /** As Google takes a role's id: letters, digits, `_` and `.`. */
  readonly id: string;
  readonly title: string;
  readonly permissions: readonly string[];
  readonly bindings: readonly Binding[];
};
export type Rendered = { readonly place: GcpPlace; readonly roles: readonly Role[] };

const LABEL = "[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?";
const ZONAL = new RegExp(`^(${LABEL})/${LABEL}$`);
const GROUP = new RegExp(`^${LABEL}$`);
const ZONE = new RegExp(`^${LABEL}$`);
const POOL = /^projects\/([a-z0-9-]{1,63})\/locations\/([a-z0-9-]{1,63})\/caPools\/[a-zA-Z0-9_-]{1,63}$/;

/** Why a rule's resource is none of the place's; null when it can be one. */
export function resourceFault({ project, region }: GcpPlace, rule: Rule): Fault | null {
  const fault = (because: string, hint: string): Fault => ({ rule: rule.id, because, hint });
  switch (rule.allow) {
    case "scale":
    case "deploy": {
      const [, zone] = ZONAL.exec(rule.group) ?? [];
      if (GROUP.test(rule.group) || zone?.replace(/-[a-z]$/, "") === region) return null;
      const hint = `Write NAME for a regional group, or ZONE/NAME with a zone of ${region}.`;
      return fault(`its group ${rule.group} is no managed instance group of ${region}`, hint);
    }
    case "issue-certificate": {
      const [, of, location] = POOL.exec(rule.authority) ?? [];
      if (of === project && location === region) return null;
      const shape = `projects/${project}/locations/${region}/caPools/…`;
      return fault(`its authority ${rule.authority} is no CA pool of ${project}, ${region}`, `Write ${shape}`);
    }
    case "update-dns":
      if (ZONE.test(rule.zone)) return null;
      return fault(
        `its zone ${rule.zone} is not the name of a managed zone`,
        "Write the managed zone's name, not its DNS name.",
      );
  }
}

const WHAT = {
  project: "groups",
  account: "accounts",
  pool: "certificates",
  zone: "records",
  bucket: "bucket",
} as const;

/** The least permissions of a policy whose place is Google Cloud, and of the owner's bucket; null: it is a directory. */
export function gcpPermissions(
  policy: Policy,
  bucket: string | null,
): Rendered | { readonly faults: readonly Fault[] } {
  const { place } = policy;
  if (place.cloud !== "gcp") throw new Error("the file's place is not on Google Cloud");
  const faults = policy.rules.map((rule) => resourceFault(place, inDns(rule))).filter((fault) => fault !== null);
  if (faults.length > 0) return { faults };
  const roles: Role[] = [];
  for (const binding of [...bindingsOf(place, policy.rules), ...(bucket === null ? [] : bucketBindings(bucket))]) {
    const text = binding.permissions.join();
    const at = roles.findIndex(
      ({ permissions, bindings }) => permissions.join() === text && bindings[0]?.scope === binding.scope,
    );
    const same = roles[at];
    if (same !== undefined) {
      roles[at] = { ...same, bindings: [...same.bindings, binding] };
      continue;
    }
    const what = WHAT[binding.scope];
    const nth = roles.filter(({ bindings }) => bindings[0]?.scope === binding.scope).length;
    roles.push({
      id: `reeve_${policy.cluster.replaceAll("-", "_")}_${what}${nth === 0 ? "" : nth + 1}`,
      title: `reeve ${policy.cluster} ${what}${nth === 0 ? "" : ` ${nth + 1}`}`,
      permissions: binding.permissions,
      bindings: [binding],
    });
  }
  return { place, roles };
}
