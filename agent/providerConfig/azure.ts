import { z } from "zod";
import { AbsolutePath, LOOPBACK, Origin, type ProviderConfig } from "./fields.ts";

/** The metadata service of the machine's own host, link-local and plain by its nature. */
const METADATA = "http://169.254.169.254";
const Endpoint = Origin.optional();
const Uuid = (what: string) => z.string().regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, what);

/** A CA whose key lies in a key vault: the key's version, so that a new one is the config's word, and the CA's certificates on this machine. */
const Authority = z.strictObject({
  version: z.string().regex(/^[0-9a-f]{32}$/, "the key's version: 32 characters in lower-case hex"),
  /** PEM: the CA's own certificate, then those above it. */
  chain: AbsolutePath,
});

export const AzureConfig = z.strictObject({
  environment: z.enum(["public", "us-government", "china"]),
  tenant: Uuid("a tenant's id"),
  subscription: Uuid("a subscription's id"),
  resource_group: z.string().regex(/^[A-Za-z0-9_.()-]{0,89}[A-Za-z0-9_()-]$/, "a resource group's name"),
  location: z.string().regex(/^[a-z]{2,32}\d?$/, "a location such as westeurope"),
  /** The managed identity's service principal: its object id. */
  principal: Uuid("an object id"),
  /** The machine's own identity, or the client id of the user-assigned one. */
  identity: z.union([z.literal("system"), z.strictObject({ client: Uuid("a client id") })]),
  /** By VAULT/KEY, as rules and commands name them. */
  authorities: z
    .record(z.string().regex(/^[a-z][a-z0-9-]{1,22}[a-z0-9]\/[A-Za-z0-9-]{1,127}$/, "VAULT/KEY"), Authority)
    .default({}),
  /** Private endpoints; what is left out is Azure's own public one. */
  endpoints: z
    .strictObject({
      arm: Endpoint,
      vault: Endpoint,
      metadata: z
        .string()
        .refine((text) => text === METADATA || LOOPBACK.test(text), `${METADATA} or http://127.0.0.1:PORT`)
        .default(METADATA),
    })
    .prefault({}),
});
export type AzureConfig = z.infer<typeof AzureConfig>;

const FIELD = AzureConfig.optional();

export const azure: ProviderConfig<typeof FIELD> = {
  field: FIELD,
  place: ({ subscription, resource_group }) => ({ cloud: "azure", subscription, resource_group }),
};
