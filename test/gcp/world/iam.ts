/**
 * IAM as its documentation describes it: roles of permissions, bound to a member on a resource; a binding on a project holds for all that is
 * in it. Permissions of each method are from Google's reference pages ("IAM permissions"), and not from the agent's own table.
 */
import type { Made } from "./made.ts";
import { ServiceError } from "./made.ts";

export type Binding = {
  readonly member: string;
  readonly permissions: readonly string[];
  /** `projects/P`, a CA pool's or a managed zone's name. */
  readonly resource: string;
};

const SIMPLE: Readonly<Record<string, string>> = {
  "compute.instanceGroupManagers.get": "compute.instanceGroupManagers.get",
  "compute.instanceGroupManagers.listManagedInstances": "compute.instanceGroupManagers.get",
  "compute.instanceGroupManagers.resize": "compute.instanceGroupManagers.update",
  "compute.instanceGroupManagers.delete": "compute.instanceGroupManagers.delete",
  "compute.regionInstanceGroupManagers.get": "compute.instanceGroupManagers.get",
  "compute.regionInstanceGroupManagers.listManagedInstances": "compute.instanceGroupManagers.get",
  "compute.regionInstanceGroupManagers.resize": "compute.instanceGroupManagers.update",
  "compute.instanceTemplates.get": "compute.instanceTemplates.get",
  "compute.regionInstanceTemplates.get": "compute.instanceTemplates.get",
  "compute.images.get": "compute.images.get",
  "compute.globalOperations.get": "compute.globalOperations.get",
  "compute.globalOperations.list": "compute.globalOperations.list",
  "compute.autoscalers.get": "compute.autoscalers.get",
  "compute.regionAutoscalers.get": "compute.autoscalers.get",
  "compute.zoneOperations.get": "compute.zoneOperations.get",
  "compute.zoneOperations.list": "compute.zoneOperations.list",
  "compute.regionOperations.get": "compute.regionOperations.get",
  "compute.regionOperations.list": "compute.regionOperations.list",
  "privateca.projects.locations.caPools.fetchCaCerts": "privateca.caPools.get",
  "privateca.projects.locations.caPools.certificates.create": "privateca.certificates.create",
  "privateca.projects.locations.caPools.certificates.get": "privateca.certificates.get",
  "privateca.projects.locations.caPools.certificates.list": "privateca.certificates.list",
  "dns.managedZones.get": "dns.managedZones.get",
  "dns.resourceRecordSets.list": "dns.resourceRecordSets.list",
  "dns.changes.get": "dns.changes.get",
};

const FREE = new Set([
  "cloudresourcemanager.projects.testIamPermissions",
  "privateca.projects.locations.caPools.testIamPermissions",
  "dns.managedZones.testIamPermissions",
]);

type Named = { readonly name?: string; readonly type?: string };

/** docs.cloud.google.com/dns/docs/access-control: what a change needs besides `dns.changes.create` is by what is in it. */
function changePermissions({ body }: Pick<Made, "body">): readonly string[] {
  const keys = (list: unknown): Set<string> =>
    new Set(((list ?? []) as readonly Named[]).map(({ name, type }) => `${name} ${type}`));
  const [added, deleted] = [keys(body["additions"]), keys(body["deletions"])];
  const both = [...added].filter((key) => deleted.has(key));
  return [
    "dns.changes.create",
    ...(both.length > 0 ? ["dns.resourceRecordSets.update"] : []),
    ...(added.size > both.length ? ["dns.resourceRecordSets.create"] : []),
    ...(deleted.size > both.length ? ["dns.resourceRecordSets.delete"] : []),
  ];
}

/** docs.cloud.google.com/compute/docs/access/iam-permissions: of what a template names, the right to use each thing; of a group, its template. */
const USES: Readonly<Record<string, readonly string[]>> = {
  insert: [
    "compute.instanceTemplates.create",
    "compute.images.useReadOnly",
    "compute.subnetworks.use",
    "iam.serviceAccounts.actAs",
  ],
  patch: ["compute.instanceGroupManagers.update", "compute.instanceTemplates.useReadOnly"],
};
const DEPLOYS =
  /^compute\.(?:instanceTemplates|regionInstanceTemplates|instanceGroupManagers|regionInstanceGroupManagers)\.(insert|patch)$/;

/** The resource whose policy is looked at: the nearest that has one. */
export function guarded({ service, parts }: Pick<Made, "service" | "parts">): string {
  if (service === "privateca")
    return `projects/${parts["projectsId"]}/locations/${parts["locationsId"]}/caPools/${parts["caPoolsId"]}`;
  if (service === "dns")
    return `projects/${parts["project"] ?? parts["projectsId"]}/managedZones/${parts["managedZone"] ?? parts["managedZonesId"]}`;
  return `projects/${parts["project"] ?? parts["projectsId"]}`;
}

/** What IAM is asked of a call; null: the world does not know the method. */
export function asked(made: Made): readonly (readonly [string, string])[] | null {
  if (FREE.has(made.operation)) return [];
  const resource = guarded(made);
  if (made.operation === "dns.changes.create")
    return changePermissions(made).map((permission) => [permission, resource]);
  const [, deploys] = DEPLOYS.exec(made.operation) ?? [];
  if (deploys !== undefined) return (USES[deploys] ?? []).map((permission) => [permission, resource]);
  const permission = SIMPLE[made.operation];
  return permission === undefined ? null : [[permission, resource]];
}

export function holds(bindings: readonly Binding[], principal: string, permission: string, resource: string): boolean {
  return bindings.some(
    (binding) =>
      binding.member === `serviceAccount:${principal}` &&
      binding.permissions.includes(permission) &&
      (binding.resource === resource || resource.startsWith(`${binding.resource}/`)),
  );
}

/** Throws what Google answers when a permission is missing: it names the permission and the resource. */
export function judge(bindings: readonly Binding[] | null, made: Made): void {
  if (bindings === null) return;
  for (const [permission, resource] of made.permissions) {
    if (holds(bindings, made.principal ?? "", permission, resource)) continue;
    throw new ServiceError(
      403,
      made.service === "privateca" ? "PERMISSION_DENIED" : "forbidden",
      made.service === "compute"
        ? `Required '${permission}' permission for '${made.about}'`
        : `Permission '${permission}' denied on resource '//${made.service}.googleapis.com/${resource}' (or it may not exist).`,
      [
        {
          "@type": "type.googleapis.com/google.rpc.ErrorInfo",
          reason: "IAM_PERMISSION_DENIED",
          domain: `${made.service}.googleapis.com`,
          metadata: { permission, resource },
        },
      ],
    );
  }
}
