import type { Policy } from "../../policy.ts";
import type { Asked, Cloud, Fault, Permissions, Printed } from "../cloud.ts";
import { audited } from "./audit/audited.ts";
import { documentOf, gcpText } from "./document.ts";
import { notesOf } from "./notes.ts";
import { GCP_OPERATIONS } from "./operations.ts";
import { gcpPermissions, type Rendered } from "./render.ts";
import { terraformOf } from "./terraform.ts";

function printed(policy: Policy, rendered: Rendered, { format, head }: Asked): Printed {
  const notes = notesOf(policy);
  const terraform = format === "terraform" ? terraformOf(rendered, [head, ...notes]) : null;
  const { project, region } = rendered.place;
  return {
    name: `reeve-${policy.cluster}`,
    text: terraform ?? gcpText(rendered),
    notes,
    // JSON takes no comments.
    noted: terraform !== null,
    json: {
      place: { cloud: "gcp", project, region },
      document: documentOf(rendered),
      ...(terraform === null ? {} : { terraform }),
    },
  };
}

function render(policy: Policy): Permissions | { readonly faults: readonly Fault[] } {
  const rendered = gcpPermissions(policy);
  if ("faults" in rendered) return rendered;
  return {
    print: (asked) => printed(policy, rendered, asked),
    audit: (file, name) => audited(rendered, file, name),
  };
}

/** Permissions on Google Cloud: custom roles and where they are bound, and their Terraform. There is no ceiling of a role's own. */
export const GCP: Cloud = {
  title: "Google Cloud",
  formats: ["gcp", "terraform"],
  boundary: false,
  operations: GCP_OPERATIONS,
  render,
};
