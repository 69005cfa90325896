import type { Policy } from "../../policy.ts";
import { type AzurePlace, groupScope } from "./place.ts";
import type { Role } from "./render.ts";

/** learn.microsoft.com, Azure role assignment conditions for Blob Storage: the blob's name below its container. */
const PATH = "@Resource[Microsoft.Storage/storageAccounts/blobServices/containers/blobs:path]";
const BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs";

function below(prefixes: readonly string[]): string {
  return `(${prefixes.map((prefix) => `${PATH} StringLike '${prefix}/*'`).join(" OR ")})`;
}

/**
 * What the agent may do in the customer's own container (DESIGN section 5), by `azblob://ACCOUNT/CONTAINER/PREFIX`, whose account lies in the
 * file's resource group. A right to read or write blobs is for a whole container: the condition of its assignment holds it to the prefixes.
 */
export function bucketRoles(policy: Policy, place: AzurePlace, bucket: string | null): readonly Role[] {
  if (bucket === null) return [];
  const [account = "", container = "", ...path] = bucket.slice("azblob://".length).split("/");
  const prefix = path.join("/");
  const at = `${groupScope(place)}/providers/Microsoft.Storage/storageAccounts/${account}`;
  const common = { actions: [], scopes: [`${at}/blobServices/default/containers/${container}`], rules: [] } as const;
  return [
    {
      ...common,
      name: `reeve-${policy.cluster}-bucket-read`,
      about: "reads the owner's folder, and the log's copy",
      dataActions: [`${BLOBS}/read`],
      condition: below([`${prefix}/owner`, `${prefix}/log`]),
    },
    {
      ...common,
      name: `reeve-${policy.cluster}-bucket-add`,
      about: "adds to the log's copy",
      dataActions: [`${BLOBS}/add/action`, `${BLOBS}/write`],
      condition: below([`${prefix}/log`]),
    },
  ];
}

/** What one cannot see in them. */
export function bucketNotes(bucket: string | null): readonly string[] {
  if (bucket === null) return [];
  return [
    `${bucket}: rights on blobs are for a whole container, so each assignment has a condition (version 2.0) on the blob's path. Assign none of the two without its condition: the agent could write its own policy. Listing has no path, so no condition lets it through.`,
    "blobs/write lets a blob be put over another: turn on versioning and version-level immutability, which keep the one before.",
  ];
}
