import { CallFailed } from "../provider.ts";
import type { Metadata } from "./metadata.ts";

/** Where the agent itself runs, by the metadata service: what needs no permission and no call. */
export type Own = {
  /** This machine's instance id. Throws CallFailed: whoever does not know it must not scale any group. */
  instance(): Promise<string>;
  /** The Auto Scaling group by this machine's tags; null when it is in none, or its tags are not shown (InstanceMetadataTags). */
  group(): Promise<string | null>;
};

const INSTANCE = /^i-[0-9a-f]{8,17}$/;
const GROUP = /^[\x20-\x7e]{1,255}$/;

export function ownPlace(metadata: Metadata): Own {
  return {
    async instance() {
      const id = await metadata.read("meta-data/instance-id");
      if (id === null || !INSTANCE.test(id))
        throw new CallFailed("own-instance", "it does not say an instance", "none");
      return id;
    },
    async group() {
      const name = await metadata.read("meta-data/tags/instance/aws:autoscaling:groupName");
      return name !== null && GROUP.test(name) ? name : null;
    },
  };
}
