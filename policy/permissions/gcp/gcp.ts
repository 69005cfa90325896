import type { Policy } from "../../policy.ts";
import type { Asked, Cloud, Fault, Permissions, Printed } from "../cloud.ts";
import { audited } from "./audit/audited.ts";
import { bucketNotes } from "./bucket.ts";
import { documentOf, gcpText } from "./document.ts";
import { notesOf } from "./notes.ts";
import { GCP_OPERATIONS } from "./operations.ts";
import { gcpPermissions, type Rendered } from "./render.ts";
import { terraformOf } from "./terraform.ts";

function printed(policy: Policy, rendered: Rendered, bucket: string | null, { format, head }: Asked): Printed {
  const notes = [...notesOf(policy), ...bucketNotes(bucket)];
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

function render(policy: Policy, bucket: string | null): Permissions | { readonly faults: readonly Fault[] } {
  const rendered = gcpPermissions(policy, bucket);
  if ("faults" in rendered) return rendered;
  return {
    print: (asked) => printed(policy, rendered, bucket, asked),
    audit: (file, name) => audited(rendered, file, name),
  };
}

/** Permissions on Google Cloud: custom roles and where they are bound, and their Terraform. There is no ceiling of a role's own. */
export const GCP: Cloud = {
  title: "Google Cloud",
  formats: ["gcp", "terraform"],
  boundary: false,
  operations: GCP_OPERATIONS,
  bucket: {
    form: /^gs:\/\/[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9](?:\/[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.))*)+$/,
    words: "gs://BUCKET/PREFIX",
  },
  render,
};
