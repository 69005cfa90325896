import type { Provider } from "../providers/provider.ts";
import { readCheckpoints } from "./audit/folder.ts";
import type { Log } from "./audit/log.ts";
import { parseCheckpoint } from "./audit/note.ts";
import type { Host } from "./host/host.ts";
import type { Identity } from "./identity/identity.ts";
import { BUCKET_HEAD_SECONDS } from "./limits.ts";
import { lookAtHead } from "./owner/head.ts";
import { type HeadSource, NO_BUCKET, type OwnersHead, ownersHead } from "./owner/putHead.ts";

/**
 * The log's head in the owner's bucket, looked at once before anything else; where the owner's folder is a directory there is none. `folder`:
 * the log's. `another` is told when the bucket says that another agent acts, or that this log is not the one that it was.
 */
export async function openOwnersHead(
  bucket: Provider["bucket"],
  of: { readonly host: Host; readonly identity: Identity; readonly log: Log; readonly folder: string },
  another: (because: string) => void,
): Promise<OwnersHead> {
  if (bucket === null) return NO_BUCKET;
  const { host, identity, log, folder } = of;
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
      const heads = readCheckpoints(host.disk, folder).notes.map(parseCheckpoint);
      return heads.find((head) => head?.size === size)?.root.toString("base64") ?? null;
    },
    checkpoint: () => log.checkpoint(),
    history: () => log.memory.history,
    waiting: () => [...log.memory.waiting.keys()],
    another,
  };
  const enough = new AbortController();
  const wake = new AbortController();
  host.clock.sleep(BUCKET_HEAD_SECONDS * 1000, wake.signal).then(
    () => enough.abort(),
    () => undefined,
  );
  const first = await lookAtHead(bucket, source, enough.signal);
  wake.abort();
  return ownersHead(bucket, source, first);
}
