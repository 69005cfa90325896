import { DiskError, type Stat } from "../host/host.ts";
import { BucketUnread, type OwnersDirectory, type OwnersDisk } from "./folder.ts";

/** Group or others may write. */
const WRITABLE_BY_OTHERS = 0o022;

export type OwnerFault = {
  readonly what: "missing" | "permission" | "unreadable";
  readonly because: string;
  readonly hint: string;
};

function judge(path: string, stat: Stat, kind: Stat["kind"], uid: number): OwnerFault | null {
  if (stat.kind !== kind)
    return { what: "permission", because: `${path} is not a ${kind}`, hint: `Put a plain ${kind} there.` };
  if (stat.uid !== uid && stat.uid !== 0)
    return { what: "permission", because: `${path} is owned by uid ${stat.uid}`, hint: `sudo chown ${uid} ${path}` };
  if ((stat.mode & WRITABLE_BY_OTHERS) !== 0)
    return {
      what: "permission",
      because: `${path} can be written by others (mode ${(stat.mode & 0o7777).toString(8)})`,
      hint: `sudo chmod go-w ${path}`,
    };
  if (kind === "file" && stat.links !== 1)
    return {
      what: "permission",
      because: `${path} has ${stat.links} names (hard links)`,
      hint: "Copy it to a file of its own.",
    };
  return null;
}

/**
 * Reads one file of the owner's folder: opened once without following links, judged and read on that descriptor.
 * The folder itself is judged too, for who can write there can replace what lies there.
 */
export function readOwned(
  disk: OwnersDisk,
  owner: OwnersDirectory,
  name: string,
  max: number,
): { bytes: Uint8Array; stat: Stat } | OwnerFault {
  const path = `${owner.directory}/${name}`;
  try {
    const folder = judge(owner.directory, disk.stat(owner.directory), "directory", owner.uid);
    if (folder !== null) return folder;
    const file = disk.read(path, max);
    return judge(path, file.stat, "file", owner.uid) ?? file;
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    if (error instanceof BucketUnread) return { what: "unreadable", because: error.because, hint: error.hint };
    if (error.code === "ENOENT")
      return { what: "missing", because: `${path} is not there`, hint: `Put it there, owned by uid ${owner.uid}.` };
    if (error.code === "ELOOP" || error.code === "EFTYPE")
      return {
        what: "permission",
        because: `${path} is a link or not a plain file`,
        hint: "Put the file itself there.",
      };
    if (error.code === "EFBIG")
      return { what: "unreadable", because: `${path} is larger than ${max} bytes`, hint: "Make it smaller." };
    return { what: "unreadable", because: `${path} cannot be read (${error.code})`, hint: `ls -l ${path}` };
  }
}
