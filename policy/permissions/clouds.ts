import type { Policy } from "../policy.ts";
import { AWS } from "./aws/aws.ts";
import { AZURE } from "./azure/azure.ts";
import type { Cloud } from "./cloud.ts";
import { GCP } from "./gcp/gcp.ts";

/** The clouds whose permissions this version knows, by the name of a file's place: a line each. */
const CLOUDS: Readonly<Partial<Record<Policy["place"]["cloud"], Cloud>>> = {
  aws: AWS,
  azure: AZURE,
  gcp: GCP,
};

/** Null where there is nothing to grant (`local`), or the cloud is not known yet. */
export function cloudOf({ cloud }: Policy["place"]): Cloud | null {
  return CLOUDS[cloud] ?? null;
}

/** What `--format` may be, for some cloud. */
export const FORMATS: readonly string[] = [...new Set(Object.values(CLOUDS).flatMap(({ formats }) => formats))];
/** Names of the clouds, in the order of their lines. */
export const CLOUD_NAMES: readonly string[] = Object.keys(CLOUDS);
