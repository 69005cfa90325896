import { z } from "zod";
import type { Policy } from "../../policy/policy.ts";

/** Forms that the configs of several providers share, and what each of them says of itself. */
export const AbsolutePath = z.string().regex(/^\/[^\0]*$/, "an absolute path");

/** Plain http, to this machine itself only. */
export const LOOPBACK = /^http:\/\/127\.0\.0\.1(?::\d{1,5})?$/;

/** An origin exactly as a URL parser writes it, so that one place has one spelling. Plain http only to this machine itself. */
export const Origin = z.string().refine((text) => {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return url.origin === text && (url.protocol === "https:" || LOOPBACK.test(text));
}, "https://HOST or https://HOST:PORT, in lower case, without a path (plain http only to 127.0.0.1)");

/** One provider's own field of the config, under the provider's name. */
export type ProviderConfig<Field extends z.ZodType = z.ZodType> = {
  /** Optional, unless it can do without anything being said: it is required with its provider, and refused with another one's. */
  readonly field: Field;
  /** Where the agent works with it, in the form of a policy's `place`. */
  place(config: NonNullable<z.output<Field>>): Policy["place"];
};
