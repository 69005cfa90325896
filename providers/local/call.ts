import { DiskError } from "../../agent/host/host.ts";
import { CallFailed, type CallPlace, type Changed, type Executed, Halted } from "../provider.ts";

/** The region of everything on this machine and its own servers. */
export const REGION = "local";

export function place(host: string, method: string): CallPlace {
  return { host, region: REGION, method };
}

/** A program's answer has no request id. */
export function answer<T>(value: T): { value: T; request: null } {
  return { value, request: null };
}

export function failed(code: string, changed: readonly Changed[] = [], more: Partial<Executed> = {}): Executed {
  return { result: "failed", code, changed, certificate: null, words: null, ...more };
}

/** What stopped the errand as an outcome's fields; anything else is our own mistake and goes on up. */
export function stopped(error: unknown): { result: "failed" | "unknown"; code: string; words: string | null } {
  if (error instanceof Halted) return { result: "failed", code: error.why, words: null };
  if (error instanceof CallFailed)
    return { result: error.effect === "none" ? "failed" : "unknown", code: error.status, words: error.words };
  throw error;
}

/** An error of the operating system becomes a failed call; its code (ENOSPC, EACCES) is the status. */
export function diskFailure(error: unknown, effect: "none" | "unknown"): unknown {
  if (error instanceof DiskError) return new CallFailed(error.code, error.message, effect);
  if (error instanceof Error && "code" in error && typeof error.code === "string" && "syscall" in error)
    return new CallFailed(error.code, error.message, effect);
  return error;
}
