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

/** Of entry 0's `before`; the lines of signatures are the last of a note. */
const MAX_BEFORE_CHARS = 4096;

/**
 * The newest signed head that an epoch before left in the owner's bucket: what a machine with an empty disk begins its log with. Null when
 * there is none, or none that this agent's roots vouch for; `away` when the bucket does not answer.
 */
export async function headBefore(
  bucket: NonNullable<Provider["bucket"]>,
  { host, identity }: { readonly host: Host; readonly identity: Identity },
): Promise<
  { readonly epoch: number; readonly checkpoint: string } | { readonly away: string; readonly hint: string } | null
> {
  const owner = {
    agentId: identity.agentId,
    cluster: identity.cluster,
    epoch: identity.epoch,
    roots: () => identity.roots(),
    size: 0,
    rootAt: () => null,
  };
  const found = await within(host.clock, BUCKET_HEAD_SECONDS, (signal) => lookAtHead(bucket, owner, signal));
  if (found.found === "unclear" && found.away) return { away: found.because, hint: found.hint };
  if (found.found !== "older" || found.head.checkpoint.length > MAX_BEFORE_CHARS) return null;
  return { epoch: found.head.epoch, checkpoint: found.head.checkpoint };
}

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
