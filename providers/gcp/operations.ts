import { GCP_OPERATIONS, type GcpOperation } from "../../policy/permissions/gcp/operations.ts";

/** The operations of each action, out of the one table that the permissions are rendered from, as the call gate takes them. */
export type { Service } from "../../policy/permissions/gcp/operations.ts";

export const SCALE_OPERATIONS = GCP_OPERATIONS.scale;
export const DEPLOY_OPERATIONS = GCP_OPERATIONS.deploy;
export const CERTIFICATE_OPERATIONS = GCP_OPERATIONS["issue-certificate"];
export const DNS_OPERATIONS = GCP_OPERATIONS["update-dns"];

const ALL: ReadonlyMap<string, GcpOperation> = new Map(
  Object.values(GCP_OPERATIONS).flatMap((rows) => rows.map((row) => [row.operation, row])),
);

export function gcpOperation(name: string): GcpOperation | undefined {
  return ALL.get(name);
}
