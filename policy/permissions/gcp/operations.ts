import type { Operation, Operations } from "../cloud.ts";

export type Service = "compute" | "privateca" | "dns";

/**
 * Where a call's permissions are granted: on the project, because managed instance groups, autoscalers and operations have no policy of their
 * own; on a CA pool; on a managed zone; on a managed zone and by what is in the change.
 */
export type Scope = "project" | "pool" | "zone" | "records";

export type GcpOperation = Operation & { readonly service: Service; readonly scope: Scope };

type Row = { readonly method?: "POST" | "PATCH"; readonly permissions: readonly string[] };

/** As Google's discovery document names the method, without the folders of its path. */
function row(operation: string, kind: Operation["kind"], scope: Scope, again: boolean, more: Row): GcpOperation {
  const [service] = operation.split(".") as [Service];
  return { operation, kind, method: more.method ?? "GET", permissions: more.permissions, scope, again, service };
}
function read(operation: string, scope: Scope, permission: string, method?: "POST"): GcpOperation {
  return row(operation, "read", scope, true, {
    permissions: [permission],
    ...(method === undefined ? {} : { method }),
  });
}

/**
 * Of deploy. A group's template is of the project or of a region, whatever the group is. Whoever makes one that names an image, a subnet and a
 * service account is asked for the right to use each of them.
 */
const DEPLOY: readonly GcpOperation[] = [
  ...(["instanceGroupManagers", "regionInstanceGroupManagers"] as const).flatMap((groups) => [
    read(`compute.${groups}.get`, "project", "compute.instanceGroupManagers.get"),
    read(`compute.${groups}.listManagedInstances`, "project", "compute.instanceGroupManagers.get", "POST"),
    // requestId: one operation, however often it is sent.
    row(`compute.${groups}.patch`, "change", "project", true, {
      method: "PATCH",
      permissions: ["compute.instanceGroupManagers.update", "compute.instanceTemplates.useReadOnly"],
    }),
  ]),
  ...(["instanceTemplates", "regionInstanceTemplates"] as const).flatMap((templates) => [
    read(`compute.${templates}.get`, "project", "compute.instanceTemplates.get"),
    // requestId, and the template's own name: one template, however often it is sent.
    row(`compute.${templates}.insert`, "change", "project", true, {
      method: "POST",
      permissions: [
        "compute.instanceTemplates.create",
        "compute.images.useReadOnly",
        "compute.subnetworks.use",
        "iam.serviceAccounts.actAs",
      ],
    }),
  ]),
  read("compute.images.get", "project", "compute.images.get"),
  ...(["zoneOperations", "regionOperations", "globalOperations"] as const).flatMap((operations) => [
    read(`compute.${operations}.get`, "project", `compute.${operations}.get`),
    read(`compute.${operations}.list`, "project", `compute.${operations}.list`),
  ]),
];

/** Permissions: Google's reference pages of each method. A regional group's are the zonal one's; only its operations have names of their own. */
export const GCP_OPERATIONS: Operations<GcpOperation> = {
  scale: (["", "region"] as const).flatMap((regional) => {
    const of = (word: string): string =>
      regional === "" ? word : `region${word.slice(0, 1).toUpperCase()}${word.slice(1)}`;
    const groups = `compute.${of("instanceGroupManagers")}`;
    const operations = `compute.${regional === "" ? "zone" : "region"}Operations`;
    return [
      read(`${groups}.get`, "project", "compute.instanceGroupManagers.get"),
      read(`${groups}.listManagedInstances`, "project", "compute.instanceGroupManagers.get", "POST"),
      read(`compute.${of("autoscalers")}.get`, "project", "compute.autoscalers.get"),
      // requestId: one operation, however often it is sent.
      row(`${groups}.resize`, "change", "project", true, {
        method: "POST",
        permissions: ["compute.instanceGroupManagers.update"],
      }),
      read(`${operations}.get`, "project", `${operations}.get`),
      read(`${operations}.list`, "project", `${operations}.list`),
    ];
  }),
  "issue-certificate": [
    read("privateca.caPools.fetchCaCerts", "pool", "privateca.caPools.get", "POST"),
    read("privateca.certificates.get", "pool", "privateca.certificates.get"),
    // requestId, and the certificate's own id: one certificate, however often it is sent.
    row("privateca.certificates.create", "change", "pool", true, {
      method: "POST",
      permissions: ["privateca.certificates.create"],
    }),
  ],
  "update-dns": [
    read("dns.managedZones.get", "zone", "dns.managedZones.get"),
    read("dns.resourceRecordSets.list", "zone", "dns.resourceRecordSets.list"),
    read("dns.changes.get", "zone", "dns.changes.get"),
    row("dns.changes.create", "change", "records", false, {
      method: "POST",
      // The first always; of the others what is in the change: a record made, replaced or taken away.
      permissions: [
        "dns.changes.create",
        "dns.resourceRecordSets.create",
        "dns.resourceRecordSets.update",
        "dns.resourceRecordSets.delete",
      ],
    }),
  ],
  deploy: DEPLOY,
  // Whose credentials these are, the machine's own metadata server says: no call of Google's API.
  identity: [],
};
