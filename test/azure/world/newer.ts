/**
 * What Azure has added since the descriptions that a package registry still has (Compute 2018-10-01, Key Vault 7.0; DNS 2018-05-01 is the
 * newest stable one). Each by hand, with where Azure says it; nothing else that is not described passes.
 */
export type Newer = {
  readonly headers?: readonly string[];
  readonly query?: readonly string[];
  readonly statuses?: readonly number[];
  readonly fields?: readonly string[];
};

export const NEWER: Readonly<Record<string, Newer>> = {
  // Virtual Machine Scale Sets - Update, api-version 2024-03-01 and later: If-Match; and 202 as for any long-running operation.
  VirtualMachineScaleSets_Update: { headers: ["if-match"], statuses: [202] },
  // Virtual Machine Scale Set VMs - List: the next page's link carries it.
  VirtualMachineScaleSetVMs_List: { query: ["$skiptoken"] },
  // Virtual Machine Scale Sets - Get, api-version 2024-03-01: etag.
  VirtualMachineScaleSet: { fields: ["etag"] },
  // Virtual Machine Scale Sets - Get, api-version 2020-12-01: orchestrationMode; 2022-03-01: timeCreated.
  VirtualMachineScaleSetProperties: { fields: ["orchestrationMode", "timeCreated"] },
  // Virtual Machine Scale Set VMs - Get, api-version 2019-07-01: protectionPolicy is described as an object since.
  VirtualMachineScaleSetVMProperties: { fields: ["protectionPolicy"] },
  // Error, api-version 7.1 and later of Key Vault.
  Error: { fields: [] },
};
