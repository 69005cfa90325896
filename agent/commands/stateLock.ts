import { type Disk, DiskError } from "../host/host.ts";
import { Complaint } from "./config.ts";

/** One process at a time on a state folder, by a lock that the kernel frees when the process ends. Complains with exit 7. */
export function stateLock(disk: Disk, state: string): { free(): void } {
  try {
    return disk.lock(`${state}/lock`);
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== "EBUSY") throw error;
    throw new Complaint(
      `use ${state}`,
      "another process of this agent runs on it",
      "One agent acts. See which: `systemctl status reeve`, `reeve status`.",
      7,
    );
  }
}
