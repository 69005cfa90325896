import { AZURE_OPERATIONS, type AzureOperation } from "../../policy/permissions/azure/operations.ts";

/** The calls of each action: the gate's table is the rows that the rendered permissions are made of. Plain data, no SDK. */
export const SCALE_OPERATIONS = AZURE_OPERATIONS.scale;
export const DEPLOY_OPERATIONS = AZURE_OPERATIONS.deploy;
export const CERTIFICATE_OPERATIONS = AZURE_OPERATIONS["issue-certificate"];
export const DNS_OPERATIONS = AZURE_OPERATIONS["update-dns"];

const ALL: ReadonlyMap<string, AzureOperation> = new Map(
  Object.values(AZURE_OPERATIONS)
    .flat()
    .map((row) => [row.operation, row]),
);

export function azureOperation(name: string): AzureOperation | undefined {
  return ALL.get(name);
}
