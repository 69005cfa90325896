import { type Disk, DiskError } from "../host/host.ts";

/** A directory and the uid that it and what lies in it must belong to. Of a bucket: its place, and nobody's uid is asked. */
export type OwnersDirectory = { readonly directory: string; readonly uid: number };

/** What of a disk the owner's folder is read with. */
export type OwnersDisk = Pick<Disk, "read" | "stat">;

/** Why something of the bucket counts as unreadable, with what to do. */
export class BucketUnread extends DiskError {
  constructor(
    path: string,
    readonly because: string,
    readonly hint: string,
  ) {
    super("EREMOTEIO", path, because);
    this.name = "BucketUnread";
  }
}

/**
 * The owner's folder (DESIGN section 5), wherever it lies: a directory of this machine, or what was read last of a bucket. Reading is
 * synchronous, so that nothing happens between a decision and what it rests on; `refresh` is what may take time.
 */
export type OwnersFolder = {
  readonly disk: OwnersDisk;
  readonly at: OwnersDirectory;
  /**
   * Reads anew what `disk` answers from, unless that was begun less than `seconds` ago. Nothing to do for a directory: each read of it is
   * a new one. What it finds is in `disk`, also when that is nothing: it throws on our own mistakes alone.
   */
  refresh(seconds?: number): Promise<void>;
};

export function directoryFolder(disk: OwnersDisk, at: OwnersDirectory): OwnersFolder {
  return { disk, at, refresh: () => Promise.resolve() };
}
