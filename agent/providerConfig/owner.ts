import { z } from "zod";
import { AbsolutePath, Origin } from "./fields.ts";

/** `uid`: who must own the folder and what lies in it. */
const Directory = z.strictObject({ directory: AbsolutePath, uid: z.number().int().min(0).default(0) });

/** The provider whose bucket it is: the agent has credentials of that cloud alone. */
const PROVIDER_OF_SCHEME = { s3: "aws", gs: "gcp", azblob: "azure" } as const;

/** No `..`, nothing empty, nothing that would be escaped in a URL: the prefix is read as it stands. */
const PREFIX = "(?:/[A-Za-z0-9](?:[A-Za-z0-9_-]|\\.(?!\\.))*)+";
const NAME = "[a-z0-9](?:[a-z0-9-]|\\.(?!\\.)){1,61}[a-z0-9]";
function url(start: string, form: string) {
  return z
    .string()
    .max(512)
    .regex(new RegExp(`^${start}${PREFIX}$`), form);
}

/** A private endpoint; what is left out is the cloud's own public one. */
const Endpoint = Origin.optional();
const S3 = z.strictObject({
  bucket: url(`s3://${NAME}`, "s3://BUCKET/PREFIX"),
  /** Where the bucket lies. */
  region: z.string().regex(/^[a-z]{2,4}(?:-[a-z]+)+-\d$/, "a region such as eu-west-1"),
  endpoint: Endpoint,
});
const Gcs = z.strictObject({ bucket: url(`gs://${NAME}`, "gs://BUCKET/PREFIX"), endpoint: Endpoint });
const Azure = z.strictObject({
  bucket: url("azblob://[a-z0-9]{3,24}/[a-z0-9](?:[a-z0-9]|-(?!-)){1,61}[a-z0-9]", "azblob://ACCOUNT/CONTAINER/PREFIX"),
  endpoint: Endpoint,
});
export type S3BucketConfig = z.infer<typeof S3>;
export type GcsBucketConfig = z.infer<typeof Gcs>;
export type AzureBucketConfig = z.infer<typeof Azure>;

/** The owner's folder (DESIGN section 5): a directory of this machine, or a prefix in a bucket of the customer's own. */
export const OwnerConfig = z.union([Directory, S3, Gcs, Azure], {
  error:
    "{ directory: /PATH, uid: N }, { bucket: s3://BUCKET/PREFIX, region: REGION }, { bucket: gs://BUCKET/PREFIX } or { bucket: azblob://ACCOUNT/CONTAINER/PREFIX }",
});
export type OwnerConfig = z.infer<typeof OwnerConfig>;

/** The provider that a bucket needs; null for a directory, which goes with any. */
export function providerOfOwner(owner: OwnerConfig): "aws" | "gcp" | "azure" | null {
  if ("directory" in owner) return null;
  return PROVIDER_OF_SCHEME[owner.bucket.slice(0, owner.bucket.indexOf(":")) as keyof typeof PROVIDER_OF_SCHEME];
}
