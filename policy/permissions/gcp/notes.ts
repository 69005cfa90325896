import type { Action } from "../../asked.ts";
import type { Policy } from "../../policy.ts";
import { certificateNeeds } from "../acme.ts";

/** What one should know of the rendered roles and cannot see in them: where they are bound and why there, and what IAM cannot say. */
export function notesOf(policy: Policy): readonly string[] {
  const has = (action: Action): boolean => certificateNeeds(policy).actions.includes(action);
  return [
    ...(has("scale") || has("deploy")
      ? [
          "compute: managed instance groups, autoscalers and operations have no IAM policy of their own, and IAM Conditions do not know their names: the role holds for every group of the project. Give the groups that the agent scales or deploys to a project of their own.",
          "compute.instanceGroupManagers.update is what a resize needs, and permits every other update of a group; Google has no narrower one. The agent calls what its table names alone.",
        ]
      : []),
    ...(has("deploy")
      ? [
          "iam.serviceAccounts.actAs: machines run as the service account that their template names, and whoever makes the template may let it act. Which account that is, no policy file says, so the role is bound on the project: bind it on that one account instead, for on the project it is every account of it.",
          "deploy: signers, version and machines out of service at once are the agent's to hold.",
        ]
      : []),
    ...(has("issue-certificate")
      ? [
          "privateca: the role is bound on the CA pool alone. IAM has no condition for names, usages or lifetime; the pool's issuance policy has (CEL), and holds beside the agent.",
        ]
      : []),
    ...(has("update-dns")
      ? [
          "dns: the role is bound on the managed zone alone. Cloud DNS takes no IAM Conditions, so that names, types and values of records are the agent's to hold.",
        ]
      : []),
    ...(policy.rules.length > 0
      ? ["IAM has no condition for counts, rates, windows and approvals: the agent alone holds these."]
      : ["The file has no rules: nothing is permitted, so nothing is granted."]),
    "Whose tokens the agent uses it learns from the machine's metadata server, which needs no permission.",
  ];
}
