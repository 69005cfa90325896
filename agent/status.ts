import { timeText } from "./audit/time.ts";
import type { Disk } from "./host/host.ts";

/** What the agent keeps in `status.json` of its runtime folder, for `reeve status`. Times are RFC 3339. */
export type Status = {
  readonly state: "enrolling" | "ready" | "suspended" | "refusing" | "stopped" | "fenced";
  readonly reason: string;
  readonly since: string;
  readonly pid: number;
  readonly version: string;
  readonly cluster: string;
  readonly agent: string | null;
  readonly epoch: number | null;
  readonly policy: { readonly digest: string; readonly revision: number } | null;
  /** Null while the control plane is reached; else since when and why not. */
  readonly out_of_contact: { readonly since: string; readonly reason: string } | null;
  readonly log: { readonly size: number; readonly root: string } | null;
  readonly running: number;
};

/** Keeps the file up to date: written when something other than `since` changed. */
export function statusFile(disk: Disk, path: string, now: () => number): (status: Omit<Status, "since">) => void {
  let last = "";
  let state = "";
  let since = timeText(now());
  return (status) => {
    const text = JSON.stringify(status);
    if (text === last) return;
    last = text;
    if (status.state !== state) since = timeText(now());
    state = status.state;
    disk.replace(path, Buffer.from(`${JSON.stringify({ ...status, since })}\n`), 0o644);
  };
}
