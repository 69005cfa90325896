import type { OpenWay } from "../audit/report.ts";

/** Known ways by which rights on Azure become more than they are. Each with where Azure says what the right does. */
export type Way = OpenWay & { readonly data: boolean };

const SOURCE = "https://learn.microsoft.com/azure/role-based-access-control";
const way = (id: string, needs: readonly string[], does: string, page: string, data = false): Way => ({
  ...{ id, needs, does, data },
  source: page.startsWith("https:") ? page : `${SOURCE}/${page}`,
});

export const WAYS: readonly Way[] = [
  way(
    "assign-roles",
    ["Microsoft.Authorization/roleAssignments/write"],
    "gives itself or others any role there",
    "permissions/management-and-governance",
  ),
  way(
    "change-roles",
    ["Microsoft.Authorization/roleDefinitions/write"],
    "widens a role that it or others hold",
    "permissions/management-and-governance",
  ),
  way(
    "elevate",
    ["Microsoft.Authorization/elevateAccess/action"],
    "becomes administrator of all subscriptions",
    "elevate-access-global-admin",
  ),
  way(
    "use-identity",
    [
      "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
      "Microsoft.Compute/virtualMachineScaleSets/write",
    ],
    "puts another identity on machines and acts as it",
    "permissions/identity",
  ),
  way(
    "run-command",
    ["Microsoft.Compute/virtualMachineScaleSets/virtualMachines/runCommand/action"],
    "runs any program on the machines, as their identity",
    "permissions/compute",
  ),
  way(
    "run-command-vm",
    ["Microsoft.Compute/virtualMachines/runCommand/action"],
    "runs any program on a machine, as its identity",
    "permissions/compute",
  ),
  way(
    "extensions",
    ["Microsoft.Compute/virtualMachineScaleSets/extensions/write"],
    "runs any program on the machines, as their identity",
    "permissions/compute",
  ),
  way(
    "vault-access",
    ["Microsoft.KeyVault/vaults/write"],
    "lets itself into a vault by its access policies",
    "https://learn.microsoft.com/azure/key-vault/general/rbac-access-policy",
  ),
  way(
    "vault-policy",
    ["Microsoft.KeyVault/vaults/accessPolicies/write"],
    "lets itself into a vault by its access policies",
    "https://learn.microsoft.com/azure/key-vault/general/rbac-access-policy",
  ),
  way(
    "storage-keys",
    ["Microsoft.Storage/storageAccounts/listKeys/action"],
    "reads a storage account's keys, which open all of it",
    "permissions/storage",
  ),
  way(
    "deploy",
    ["Microsoft.Resources/deployments/write"],
    "has a template make what its deployer may",
    "permissions/management-and-governance",
  ),
  way(
    "key-export",
    ["Microsoft.KeyVault/vaults/keys/release/action"],
    "takes a key out of its vault",
    "permissions/security",
    true,
  ),
  way(
    "key-write",
    ["Microsoft.KeyVault/vaults/keys/create/action"],
    "makes a new version of an authority's key",
    "permissions/security",
    true,
  ),
];
