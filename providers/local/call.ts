import { DiskError } from "../../agent/host/host.ts";
import { CallFailed, type CallPlace } from "../provider.ts";

/** The region of everything on this machine and its own servers. */
export const REGION = "local";

export function place(host: string, method: string): CallPlace {
  return { host, region: REGION, method };
}

/** A program's answer has no request id. */
export function answer<T>(value: T): { value: T; request: null } {
  return { value, request: null };
}

/** An error of the operating system becomes a failed call; its code (ENOSPC, EACCES) is the status. */
export function diskFailure(error: unknown, effect: "none" | "unknown"): unknown {
  if (error instanceof DiskError) return new CallFailed(error.code, error.message, effect);
  if (error instanceof Error && "code" in error && typeof error.code === "string" && "syscall" in error)
    return new CallFailed(error.code, error.message, effect);
  return error;
}
