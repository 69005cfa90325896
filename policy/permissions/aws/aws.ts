import type { Policy } from "../../policy.ts";
import type { Asked, Cloud, Fault, Permissions, Printed } from "../cloud.ts";
import { audited } from "./audit/audited.ts";
import { bucketNotes, withBucket } from "./bucket.ts";
import { notesOf } from "./notes.ts";
import { AWS_OPERATIONS } from "./operations.ts";
import { awsPermissions, boundaryOf, type Rendered } from "./render.ts";
import { documentOf } from "./statement.ts";
import { iamText, terraformOf } from "./terraform.ts";

function printed(
  policy: Policy,
  rendered: Rendered,
  bucket: string | null,
  { format, boundary, head }: Asked,
): Printed {
  const statements = boundary ? boundaryOf(rendered) : rendered.statements;
  const notes = [...notesOf(policy, rendered, statements, boundary), ...bucketNotes(bucket)];
  const name = `reeve-${policy.cluster}${boundary ? "-boundary" : ""}`;
  const terraform = format === "terraform" ? terraformOf(name, statements, [head, ...notes]) : null;
  const { account, region, partition } = rendered.place;
  return {
    name,
    text: terraform ?? iamText(statements),
    notes,
    // IAM's JSON takes no comments.
    noted: terraform !== null,
    json: {
      place: { cloud: "aws", partition, account, region },
      document: documentOf(statements),
      rules: Object.fromEntries(statements.map(({ sid, rules }) => [sid, rules])),
      ...(terraform === null ? {} : { terraform }),
    },
  };
}

function render(policy: Policy, bucket: string | null): Permissions | { readonly faults: readonly Fault[] } {
  const permitted = awsPermissions(policy, AWS_OPERATIONS);
  if (permitted === null) throw new Error("the file's place is not on AWS");
  if ("faults" in permitted) return permitted;
  const rendered = withBucket(permitted, bucket);
  return {
    print: (asked) => printed(policy, rendered, bucket, asked),
    audit: (file, name) => audited(rendered.statements, file, name),
  };
}

/** Permissions on AWS: an IAM policy, its Terraform, and a permissions boundary. */
export const AWS: Cloud = {
  title: "AWS",
  formats: ["iam", "terraform"],
  boundary: true,
  bucket: {
    form: /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:\/[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.))*)+$/,
    words: "s3://BUCKET/PREFIX",
  },
  operations: AWS_OPERATIONS,
  render,
};
