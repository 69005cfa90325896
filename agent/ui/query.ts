import { z } from "zod";
import type { Filter } from "../audit/filter.ts";
import { ACTIONS, OUTCOMES } from "../audit/filterWords.ts";

/** The filter of an address's query: the same words as the command line's flags. */
const Moment = z
  .string()
  .max(40)
  .transform((text, context) => {
    try {
      return Temporal.Instant.from(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text).epochMilliseconds;
    } catch {
      context.addIssue({ code: "custom", message: "a time such as 2026-11-24T09:00:00Z" });
      return z.NEVER;
    }
  });
const Query = z.strictObject({
  since: Moment.optional(),
  until: Moment.optional(),
  action: z.enum(ACTIONS).optional(),
  command: z.string().max(64).optional(),
  outcome: z.enum(OUTCOMES).optional(),
  before: z.string().max(32).optional(),
});

export function filterFrom(query: Record<string, string>): { readonly filter: Filter } | { readonly fault: string } {
  const read = Query.safeParse(query);
  if (!read.success) {
    const [issue] = read.error.issues;
    return { fault: `${issue?.path.join(".") || "the query"}: ${issue?.message ?? "not known"}` };
  }
  const { since, until, action, command, outcome } = read.data;
  return {
    filter: {
      since: since ?? null,
      until: until ?? null,
      action: action ?? null,
      command: command ?? null,
      outcome: outcome ?? null,
    },
  };
}
