import type { Provider } from "../providers/provider.ts";
import type { Log } from "./audit/log.ts";
import { rootOfTree } from "./audit/tree.ts";
import { within } from "./deadline.ts";
import type { Host } from "./host/host.ts";
import type { Identity } from "./identity/identity.ts";
import { BUCKET_HEAD_SECONDS } from "./limits.ts";
import { lookAtHead } from "./owner/head.ts";
import { type HeadSource, NO_BUCKET, type OwnersHead, ownersHead } from "./owner/putHead.ts";
import { frontierAt } from "./witness/frontier.ts";

/**
 * The log's head in the owner's bucket, looked at once before anything else; where the owner's folder is a directory there is none.
 * `another` is told when the bucket says that another agent acts, or that this log is not the one that it was.
 */
export async function openOwnersHead(
  bucket: Provider["bucket"],
  of: { readonly host: Host; readonly identity: Identity; readonly log: Log },
  another: (because: string) => void,
): Promise<OwnersHead> {
  if (bucket === null) return NO_BUCKET;
  const { host, identity, log } = of;
  const source: HeadSource = {
    clock: host.clock,
    agentId: identity.agentId,
    cluster: identity.cluster,
    epoch: identity.epoch,
    roots: () => identity.roots(),
    chain: () => identity.chain(),
    sign: (bytes) => identity.sign(bytes),
    get size() {
      return log.size;
    },
    rootAt(size) {
      const tree = frontierAt(log, size);
      return tree === null ? null : rootOfTree(tree).toString("base64");
    },
    checkpoint: () => log.checkpoint(),
    history: () => log.memory.history,
    waiting: () => [...log.memory.waiting.keys()],
    another,
  };
  const first = await within(host.clock, BUCKET_HEAD_SECONDS, (signal) => lookAtHead(bucket, source, signal));
  return ownersHead(bucket, source, first);
}
