import type { Policy } from "../../policy.ts";
import type { Asked, Cloud, Fault, Permissions, Printed } from "../cloud.ts";
import { audited } from "./audit.ts";
import { documentOf, terraformOf } from "./documents.ts";
import { notesOf } from "./notes.ts";
import { AZURE_OPERATIONS } from "./operations.ts";
import { azurePermissions, type Rendered } from "./render.ts";

function printed(policy: Policy, rendered: Rendered, { format, head }: Asked): Printed {
  const notes = notesOf(policy, rendered);
  const terraform = format === "terraform" ? terraformOf(rendered, [head, ...notes]) : null;
  const document = documentOf(rendered);
  return {
    name: `reeve-${policy.cluster}`,
    text: terraform ?? `${JSON.stringify(document, null, 2)}\n`,
    notes,
    // JSON takes no comments.
    noted: terraform !== null,
    json: {
      place: rendered.place,
      document,
      rules: Object.fromEntries(rendered.roles.map(({ name, rules }) => [name, rules])),
      ...(terraform === null ? {} : { terraform }),
    },
  };
}

function render(policy: Policy, bucket: string | null): Permissions | { readonly faults: readonly Fault[] } {
  const rendered = azurePermissions(policy, AZURE_OPERATIONS);
  if (rendered === null || bucket !== null) throw new Error("the file's place, or a bucket, is not on Azure");
  if ("faults" in rendered) return rendered;
  return {
    print: (asked) => printed(policy, rendered, asked),
    audit: (file, name) => audited(rendered, file, name),
  };
}

/** Permissions on Azure: custom roles and where each is assigned, and their Terraform. */
export const AZURE: Cloud = {
  title: "Azure",
  formats: ["azure", "terraform"],
  boundary: false,
  // None: the owner's folder on Azure is a directory.
  bucket: { form: /^(?!)/, words: "a directory of the machine (no bucket on Azure is read)" },
  operations: AZURE_OPERATIONS,
  render,
};
