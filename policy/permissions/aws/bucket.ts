import type { AwsPlace } from "./arn.ts";
import type { Rendered } from "./render.ts";
import type { Statement } from "./statement.ts";

/** What the agent may do in the customer's own bucket (DESIGN section 5), by `s3://BUCKET/PREFIX`: read the owner's folder, read and add to the log. */
function bucketStatements({ partition }: AwsPlace, bucket: string): readonly Statement[] {
  const below = `arn:${partition}:s3:::${bucket.slice("s3://".length)}`;
  const common = { effect: "Allow", about: "these", conditions: [], rules: [] } as const;
  return [
    {
      ...common,
      sid: "ReadOwnersBucket",
      actions: ["s3:GetObject"],
      resources: [`${below}/owner/*`, `${below}/log/*`],
    },
    { ...common, sid: "AddToOwnersBucket", actions: ["s3:PutObject"], resources: [`${below}/log/*`] },
  ];
}

/** The permissions together with those of the owner's bucket. */
export function withBucket(rendered: Rendered, bucket: string | null): Rendered {
  if (bucket === null) return rendered;
  // The plain denial stands where nothing else does.
  const granting = rendered.statements.filter(({ effect }) => effect === "Allow");
  return { ...rendered, statements: [...granting, ...bucketStatements(rendered.place, bucket)] };
}

/** What one cannot see in them. */
export function bucketNotes(bucket: string | null): readonly string[] {
  if (bucket === null) return [];
  return [
    `${bucket}/owner/* and log/*: the star stands for names that are made as things happen (approvals, segments). It does not reach beyond the two prefixes; the agent may not list, delete, or read another version.`,
    "Without s3:ListBucket a missing object is answered as a denied one: the agent counts both as no.",
    "s3:PutObject on log/* lets a new version be put, and Object Lock with versioning keeps the one before: turn both on.",
  ];
}
