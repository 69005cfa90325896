/** Which right each operation needs and on what, after Azure's "permissions" reference: Compute, Networking, Security. */
import type { Found } from "./description.ts";

export type Is =
  | "set"
  | "instances"
  | "resize"
  | "upgrade"
  | "image"
  | "operation"
  | "zone"
  | "record"
  | "write"
  | "delete"
  | "key"
  | "sign";
export type ActionOf = {
  readonly is: Is;
  readonly action: string;
  readonly data: boolean;
  /** The resource that the right must be held on. */
  readonly scope: string;
  /** What the path names, outermost first. */
  readonly named: readonly string[];
};
type Place = { readonly subscription: string; readonly resourceGroup: string; readonly vault: string };

/** Null: no operation of those that the world knows, or of another subscription or resource group. */
export function actionOf(
  described: Found | null,
  method: string,
  operation: RegExpExecArray | null,
  place: Place,
): ActionOf | null {
  const subscription = `/subscriptions/${place.subscription}`;
  if (operation !== null) {
    const [, of = "", location = "", id = ""] = operation;
    if (method !== "GET" || of !== place.subscription) return null;
    const scope = `${subscription}/providers/Microsoft.Compute/locations/${location}/operations/${id}`;
    return { is: "operation", action: "Microsoft.Compute/locations/operations/read", data: false, scope, named: [id] };
  }
  if (described === null) return null;
  const { path } = described;
  const text = (name: string): string => path[name] ?? "";
  if (
    described.service !== "keyvault" &&
    (text("subscriptionId") !== place.subscription || text("resourceGroupName").toLowerCase() !== place.resourceGroup)
  )
    return null;
  const group = `${subscription}/resourceGroups/${place.resourceGroup}/providers`;
  const set = text("vmScaleSetName") || text("virtualMachineScaleSetName");
  const type = text("recordType").toUpperCase();
  const inGroup = (is: Is, action: string, scope: string, named: readonly string[]): ActionOf => ({
    is,
    action,
    data: false,
    scope: `${group}/${scope}`,
    named,
  });
  const sets = (is: Is, action: string) =>
    inGroup(
      is,
      `Microsoft.Compute/virtualMachineScaleSets/${action}`,
      `Microsoft.Compute/virtualMachineScaleSets/${set}`,
      [set],
    );
  const zone = `Microsoft.Network/dnsZones/${text("zoneName")}`;
  const records = (is: Is, verb: string) =>
    inGroup(is, `Microsoft.Network/dnsZones/${type}/${verb}`, `${zone}/${type}/${text("relativeRecordSetName")}`, [
      text("zoneName"),
      type,
      text("relativeRecordSetName"),
    ]);
  const keys = (is: Is, verb: string): ActionOf => ({
    ...{ is, action: `Microsoft.KeyVault/vaults/keys/${verb}`, data: true },
    scope: `${group}/Microsoft.KeyVault/vaults/${place.vault}/keys/${text("key-name")}`,
    named: [text("key-name"), text("key-version")],
  });
  switch (described.id) {
    case "VirtualMachineScaleSets_Get":
      return sets("set", "read");
    case "VirtualMachineScaleSetVMs_List":
      return sets("instances", "virtualMachines/read");
    case "VirtualMachineScaleSets_Update":
      return sets("resize", "write");
    case "VirtualMachineScaleSets_UpdateInstances":
      return sets("upgrade", "manualupgrade/action");
    case "Images_Get":
      return inGroup("image", "Microsoft.Compute/images/read", `Microsoft.Compute/images/${text("imageName")}`, [
        text("imageName"),
      ]);
    case "Zones_Get":
      return inGroup("zone", "Microsoft.Network/dnsZones/read", zone, [text("zoneName")]);
    case "RecordSets_Get":
      return records("record", "read");
    case "RecordSets_CreateOrUpdate":
      return records("write", "write");
    case "RecordSets_Delete":
      return records("delete", "delete");
    case "GetKey":
      return keys("key", "read");
    case "sign":
      return keys("sign", "sign/action");
    default:
      return null;
  }
}
