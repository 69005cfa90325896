import type { Binding } from "./bindings.ts";

/**
 * What the agent may do in the customer's own bucket (DESIGN section 5), by `gs://BUCKET/PREFIX`: read the owner's folder and the log's head, add to
 * the log. Cloud Storage takes conditions on an object's name. To put a new version in place of one that is there needs the right to delete
 * it: that is given for `log/head` alone.
 */
export function bucketBindings(bucket: string): readonly Binding[] {
  const [, name = "", prefix = ""] = /^gs:\/\/([^/]+)\/(.+)$/.exec(bucket) ?? [];
  const below = `projects/_/buckets/${name}/objects/${prefix}`;
  const starts = (path: string): string => `resource.name.startsWith("${below}/${path}")`;
  const common = { scope: "bucket", resource: `gs://${name}`, rules: [] } as const;
  return [
    {
      ...common,
      permissions: ["storage.objects.get"],
      condition: {
        title: "read the owner's folder and the log",
        expression: `${starts("owner/")} || ${starts("log/")}`,
      },
    },
    {
      ...common,
      permissions: ["storage.objects.create"],
      condition: { title: "add to the log", expression: starts("log/") },
    },
    {
      ...common,
      permissions: ["storage.objects.delete"],
      condition: { title: "renew the log's head", expression: `resource.name == "${below}/log/head"` },
    },
  ];
}

/** What one cannot see in them. */
export function bucketNotes(bucket: string | null): readonly string[] {
  if (bucket === null) return [];
  return [
    `${bucket}: IAM Conditions hold the agent to owner/ and log/ below the prefix; they need uniform bucket-level access. The agent may not list.`,
    "storage.objects.delete is what Cloud Storage asks of whoever puts a new version of an object, and the condition gives it for log/head alone: turn object versioning on, which keeps the one before.",
  ];
}
