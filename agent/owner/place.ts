import type { Provider } from "../../providers/provider.ts";
import type { Config } from "../config.ts";
import type { Host } from "../host/host.ts";
import { bucketFolder } from "./bucketFolder.ts";
import { directoryFolder, type OwnersDirectory, type OwnersFolder } from "./folder.ts";

/** The owner's folder that the config names. */
export function ownersFolder(host: Host, { owner }: Config, provider: Pick<Provider, "bucket">): OwnersFolder {
  if ("directory" in owner) return directoryFolder(host.disk, owner);
  if (provider.bucket === null) throw new Error("the config was not checked: this provider has no bucket");
  return bucketFolder(provider.bucket, host.clock);
}

/** The directory, or null when the owner's folder is a bucket, which no command on this machine can change. */
export function ownersDirectory({ owner }: Config): OwnersDirectory | null {
  return "directory" in owner ? owner : null;
}
