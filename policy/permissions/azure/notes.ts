import type { Policy } from "../../policy.ts";
import { certificateNeeds } from "../acme.ts";
import type { Rendered } from "./render.ts";

/** What one should know of the rendered roles and cannot see in them: what Azure cannot tell apart, and who holds it then. */
export function notesOf(policy: Policy, { place }: Rendered): readonly string[] {
  const has = (allow: string): boolean => policy.rules.some((rule) => rule.allow === allow);
  const below = policy.rules.flatMap((rule) =>
    rule.allow === "update-dns" && "below" in rule.names
      ? [
          `${rule.id}: names below ${rule.names.below} have no scope of their own: the right is for every name of the zone ${rule.zone}, of these types.`,
        ]
      : [],
  );
  return [
    ...(has("scale") || has("deploy")
      ? [
          "Microsoft.Compute/virtualMachineScaleSets/write is the right to change a scale set whole, its image, scripts and identities too: Azure has none for the capacity or the image alone. What the agent sends is its capacity, where a rule lets it be scaled, and its image, where one lets releases be deployed.",
          `Microsoft.Compute/locations/operations/read: the status of an operation lies right below the subscription ${place.subscription}, and has no narrower scope. It tells an operation's state and nothing of any resource.`,
        ]
      : []),
    ...(has("deploy")
      ? [
          `Images are named by manifests, not by the policy: the right to read them is for all of the resource group ${place.resource_group}. Where a gallery lies elsewhere, assign the role there too. Signers and version of what is deployed, and machines out of service at once, are the agent's to hold.`,
        ]
      : []),
    ...(certificateNeeds(policy).own.length > 0
      ? [
          "Microsoft.KeyVault/vaults/keys/sign/action signs any digest: Azure cannot limit what a key signs, nor for which names. Here the agent's gate and its log are the only limit; whoever holds this right can make any certificate of this authority.",
        ]
      : []),
    ...below,
    ...(has("update-dns")
      ? ["Azure has no condition for the values or TTL of a record: the agent alone holds these."]
      : []),
    ...(policy.rules.length > 0
      ? [
          "Azure has no condition for rates, windows and approvals either. A custom role's name is one in the whole tenant; a new assignment takes up to ten minutes.",
        ]
      : ["The file has no rules: nothing is permitted, so nothing is granted."]),
  ];
}
