import type { z } from "zod";
import type { FaultCode } from "../wire/protocol.ts";

export type PostOptions = { readonly timeoutSeconds: number; readonly signal?: AbortSignal };
export type Posted<T> =
  | { readonly ok: T }
  | { readonly fault: FaultCode; readonly message: string }
  /** A short reason: "refused", "timeout", "dns", "reset", "tls: …", "answer: …", "aborted". */
  | { readonly unreachable: string };

/** Requests to the agents' listener with the newest certificate. */
export type Session = {
  /** POSTs JSON to `path` ("/v1/commands") and checks the answer with `schema`. Never throws on what others do. */
  post<T>(path: string, body: unknown, schema: z.ZodType<T>, options: PostOptions): Promise<Posted<T>>;
  close(): void;
};
