import type { Policy } from "../../policy.ts";
import type { Asked, Cloud, Fault, Permissions, Printed } from "../cloud.ts";
import { audited } from "./audit.ts";
import { bucketNotes, bucketRoles } from "./bucket.ts";
import { documentOf, terraformOf } from "./documents.ts";
import { notesOf } from "./notes.ts";
import { AZURE_OPERATIONS } from "./operations.ts";
import { azurePermissions, type Rendered } from "./render.ts";

function printed(policy: Policy, rendered: Rendered, bucket: string | null, { format, head }: Asked): Printed {
  const notes = [...notesOf(policy, rendered), ...bucketNotes(bucket)];
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
  const permitted = azurePermissions(policy, AZURE_OPERATIONS);
  if (permitted === null) throw new Error("the file's place is not on Azure");
  if ("faults" in permitted) return permitted;
  const roles = [...permitted.roles, ...bucketRoles(policy, permitted.place, bucket)];
  const rendered = { ...permitted, roles };
  return {
    print: (asked) => printed(policy, rendered, bucket, asked),
    audit: (file, name) => audited(rendered, file, name),
  };
}

/** Permissions on Azure: custom roles and where each is assigned, and their Terraform. */
export const AZURE: Cloud = {
  title: "Azure",
  formats: ["azure", "terraform"],
  boundary: false,
  bucket: {
    form: /^azblob:\/\/[a-z0-9]{3,24}\/[a-z0-9](?:[a-z0-9]|-(?!-)){1,61}[a-z0-9](?:\/[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.))*)+$/,
    words: "azblob://ACCOUNT/CONTAINER/PREFIX",
  },
  operations: AZURE_OPERATIONS,
  render,
};
