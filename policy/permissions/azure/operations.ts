import type { DnsType } from "../../asked.ts";
import type { Operation, Operations } from "../cloud.ts";

/**
 * What Azure judges a call by: a scale set, the subscription (an operation's status lies right below it), a key, a zone, a record set; an image,
 * which a manifest names and the policy does not.
 * learn.microsoft.com, Azure permissions reference: Compute, Networking, Security.
 */
export type Scope = "set" | "image" | "subscription" | "key" | "zone" | "records";

export type AzureOperation = Operation & {
  readonly scope: Scope;
  /** Of the data plane: it stands under DataActions. */
  readonly data: boolean;
  /** Only for records of this type; null: whatever the rule. */
  readonly type: DnsType | null;
};

const METHODS = { read: "GET", write: "PUT", delete: "DELETE" } as const;
const TYPES: readonly DnsType[] = ["A", "AAAA", "CNAME", "TXT"];

type Row = Pick<AzureOperation, "kind" | "method" | "scope"> & Partial<AzureOperation>;

/** The operation's name is the action's, as roles and the Activity Log have it. */
function row(operation: string, { kind, method, scope, ...more }: Row): AzureOperation {
  return {
    operation,
    kind,
    method,
    permissions: [operation],
    scope,
    again: kind === "read",
    data: false,
    type: null,
    ...more,
  };
}

function read(operation: string, scope: Scope, more: Partial<AzureOperation> = {}): AzureOperation {
  return row(operation, { kind: "read", method: "GET", scope, ...more });
}

function records(type: DnsType): AzureOperation[] {
  return (["read", "write", "delete"] as const).map((verb) =>
    row(`Microsoft.Network/dnsZones/${type}/${verb}`, {
      ...{ kind: verb === "read" ? "read" : "change", method: METHODS[verb], scope: "records", type },
    }),
  );
}

export const AZURE_OPERATIONS: Operations<AzureOperation> = {
  scale: [
    read("Microsoft.Compute/virtualMachineScaleSets/read", "set"),
    read("Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read", "set"),
    read("Microsoft.Compute/locations/operations/read", "subscription"),
    row("Microsoft.Compute/virtualMachineScaleSets/write", { kind: "change", method: "PATCH", scope: "set" }),
  ],
  "issue-certificate": [
    read("Microsoft.KeyVault/vaults/keys/read", "key", { data: true }),
    // The same bytes signed twice are the same certificate: its serial number is the command's.
    row("Microsoft.KeyVault/vaults/keys/sign/action", {
      kind: "change",
      method: "POST",
      scope: "key",
      data: true,
      again: true,
    }),
  ],
  "update-dns": [read("Microsoft.Network/dnsZones/read", "zone"), ...TYPES.flatMap(records)],
  deploy: [
    read("Microsoft.Compute/virtualMachineScaleSets/read", "set"),
    read("Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read", "set"),
    read("Microsoft.Compute/locations/operations/read", "subscription"),
    // Also asked of whoever has a scale set name it.
    read("Microsoft.Compute/galleries/images/versions/read", "image"),
    read("Microsoft.Compute/images/read", "image"),
    row("Microsoft.Compute/virtualMachineScaleSets/write", { kind: "change", method: "PATCH", scope: "set" }),
    row("Microsoft.Compute/virtualMachineScaleSets/manualupgrade/action", {
      kind: "change",
      method: "POST",
      scope: "set",
    }),
  ],
  // Whose the token is, the metadata service says, and the token itself: no call of Azure's.
  identity: [],
};
