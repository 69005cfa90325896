import { z } from "zod";
import { CallFailed } from "../provider.ts";
import type { WireAnswer } from "../transport.ts";

/** What an authority answers, RFC 8555 section 7.1: the fields that are needed, others are passed over (section 7.1). URLs are checked where they are used. */
const Link = z.string().min(1).max(2048);
export const Problem = z.object({
  type: z.string().max(256).default("about:blank"),
  detail: z.string().max(4096).default(""),
});
export const Directory = z.object({
  newNonce: Link,
  newAccount: Link,
  newOrder: Link,
  meta: z.object({ externalAccountRequired: z.boolean().default(false) }).prefault({}),
});
export type Directory = z.infer<typeof Directory>;
export const Order = z.object({
  status: z.enum(["pending", "ready", "processing", "valid", "invalid"]),
  identifiers: z.array(z.object({ type: z.string().max(64), value: z.string().max(253) })).max(128),
  authorizations: z.array(Link).max(128),
  finalize: Link,
  certificate: Link.optional(),
  error: Problem.optional(),
});
export type Order = z.infer<typeof Order>;
const Challenge = z.object({
  type: z.string().max(64),
  url: Link,
  status: z.enum(["pending", "processing", "valid", "invalid"]),
  token: z
    .string()
    .regex(/^[A-Za-z0-9_-]{16,256}$/)
    .optional(),
  error: Problem.optional(),
});
export const Authorization = z.object({
  status: z.enum(["pending", "valid", "invalid", "deactivated", "expired", "revoked"]),
  identifier: z.object({ type: z.string().max(64), value: z.string().max(253) }),
  wildcard: z.boolean().default(false),
  challenges: z.array(Challenge).max(32),
});
export type Authorization = z.infer<typeof Authorization>;
export const Account = z.object({ status: z.enum(["valid", "deactivated", "revoked"]) });

/** An answer's JSON in its form. Throws CallFailed `malformed`. */
export function objectOf<T extends z.ZodType>(schema: T, { body }: WireAnswer): z.output<T> {
  try {
    const parsed = schema.safeParse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)));
    if (parsed.success) return parsed.data;
    throw new CallFailed("malformed", parsed.error.message.slice(0, 2048), "none");
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError)
      throw new CallFailed("malformed", "an answer that is not JSON", "none");
    throw error;
  }
}
