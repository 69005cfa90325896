import { COULD_NOT_LOOK } from "../audit/verify.ts";
import { type Disk, DiskError } from "../host/host.ts";
import { Complaint } from "./config.ts";

const MAX_CA_BYTES = 256 * 1024;

/** The PEM text of a CA that was named on the command line; complains when it cannot be read. */
export function readCa(disk: Disk, path: string, cannot: string): string {
  try {
    return Buffer.from(disk.read(path, MAX_CA_BYTES).bytes).toString("utf8");
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    throw new Complaint(cannot, `${path} cannot be read (${error.code})`, "Give the CA's PEM file.", COULD_NOT_LOOK);
  }
}
