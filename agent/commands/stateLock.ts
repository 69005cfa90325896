import { isFull } from "../audit/details.ts";
import { type Disk, DiskError } from "../host/host.ts";
import { Complaint } from "./config.ts";

/** One process at a time on a state folder, by a lock that the kernel frees when the process ends. Complains with exit 7. */
export function stateLock(disk: Disk, state: string): { free(): void } {
  const refuse = (why: string, hint: string): Complaint => new Complaint(`use ${state}`, why, hint, 7);
  try {
    return disk.lock(`${state}/lock`);
  } catch (error) {
    if (isFull(error)) throw refuse("its disk is full", `Free space on it (df ${state}), then start the agent again.`);
    if (!(error instanceof DiskError) || error.code !== "EBUSY") throw error;
    throw refuse(
      "another process of this agent runs on it",
      "One agent acts. See which: `systemctl status reeve`, `reeve status`.",
    );
  }
}
