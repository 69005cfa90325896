import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BucketFailed, type BucketObject } from "../../providers/bucket.ts";
import type { Provider } from "../../providers/provider.ts";
import { COULD_NOT_LOOK } from "../audit/verify/verdict.ts";
import type { Config } from "../config.ts";
import type { Disk } from "../host/host.ts";
import type { Machine } from "../host/machine.ts";
import { fetchLog, newestEpoch } from "../owner/fetchLog.ts";
import { Complaint, readConfig } from "./config.ts";

export type ProviderOf = (config: Config, uid: number) => Promise<Provider>;
export type Fetched = {
  /** A folder of this run's own, until `remove`. */
  readonly folder: string;
  /** The epoch that was asked for, in the folder itself. */
  readonly epoch: number;
  /** What it is a copy of, for people. */
  readonly place: string;
  /** Nothing beside it can vouch for it. */
  readonly state: null;
  remove(): void;
};

/** Fetches the log's copy out of the owner's bucket, of one epoch or of all, the older ones as `epoch-N` below the newest, with the machine's own credentials. Complains with exit 14 when nothing comes. */
export async function fetchedFrom(
  disk: Disk,
  options: { readonly config: string; readonly epoch?: number },
  machine: Pick<Machine, "uid">,
  provider: ProviderOf,
): Promise<Fetched> {
  const cannot = "fetch the log from the owner's bucket";
  const { config } = readConfig(disk, options.config);
  const { bucket } = await provider(config, machine.uid);
  if (bucket === null)
    throw new Complaint(cannot, "the config names none", "Leave --bucket out: the owner's folder is a directory.", 2);
  const folder = mkdtempSync(join(tmpdir(), "reeve-log-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const signal = new AbortController().signal;
  try {
    const epoch = options.epoch ?? (await newestEpoch(bucket, signal));
    if (epoch === null)
      throw new Complaint(
        cannot,
        `${bucket.place}/log/head is not there`,
        "Say which epoch: --epoch N.",
        COULD_NOT_LOOK,
      );
    const place = `${bucket.place}/log/${epoch}`;
    let segments = await fetchLog(bucket, epoch, { disk, folder }, missing, signal);
    // Nothing is listed: an epoch of which nothing was added yet is an empty folder.
    for (let before = epoch - 1; options.epoch === undefined && before > 0; before--) {
      mkdirSync(join(folder, `epoch-${before}`));
      segments += await fetchLog(bucket, before, { disk, folder: join(folder, `epoch-${before}`) }, missing, signal);
    }
    if (segments === 0)
      throw new Complaint(
        cannot,
        `${place} holds no segment yet`,
        "The first is added once it is closed.",
        COULD_NOT_LOOK,
      );
    return { folder, epoch, place, state: null, remove };
  } catch (error) {
    remove();
    if (!(error instanceof BucketFailed)) throw error;
    throw new Complaint(cannot, error.because, error.hint, COULD_NOT_LOOK);
  }
}

/** Without the right to list, a missing object is answered as a denied one. */
async function missing(asked: Promise<BucketObject | "absent">): Promise<BucketObject | "absent"> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof BucketFailed && error.what === "denied") return "absent";
    throw error;
  }
}
