import { z } from "zod";
import { LOOPBACK, Origin, type ProviderConfig } from "./fields.ts";

/** The machine's own metadata server, link-local and plain by its nature. */
const METADATA = "http://169.254.169.254";
const Endpoint = Origin.optional();

export const GcpConfig = z.strictObject({
  project: z.string().regex(/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/, "a project's id, not its number"),
  /** The service account that the machine runs as. */
  account: z
    .string()
    .regex(
      /^[a-z0-9-]{1,64}@[a-z0-9.:-]{1,128}\.gserviceaccount\.com$/,
      "a service account: NAME@PROJECT.iam.gserviceaccount.com",
    ),
  region: z.string().regex(/^[a-z]+-[a-z]+\d{1,2}$/, "a region such as europe-west1"),
  /** Private endpoints; what is left out is Google's own public one. */
  endpoints: z
    .strictObject({
      compute: Endpoint,
      privateca: Endpoint,
      dns: Endpoint,
      cloudresourcemanager: Endpoint,
      metadata: z
        .string()
        .refine((text) => text === METADATA || LOOPBACK.test(text), `${METADATA} or http://127.0.0.1:PORT`)
        .default(METADATA),
    })
    .prefault({}),
});
export type GcpConfig = z.infer<typeof GcpConfig>;

const FIELD = GcpConfig.optional();

export const gcp: ProviderConfig<typeof FIELD> = {
  field: FIELD,
  place: ({ project, region }) => ({ cloud: "gcp", project, region }),
};
