import type { Made } from "./made.ts";

/**
 * What goes wrong on the way or at AWS's end. `before`: the call has no effect. `after`: moto did it, and nobody hears so.
 * The code of an `error` must be one that the operation declares, or a common one: the proxy holds it to AWS's model.
 */
export type Fault =
  | { readonly kind: "error"; readonly code: string; readonly status?: number; readonly when: "before" | "after" }
  | { readonly kind: "page"; readonly status: number; readonly when: "before" | "after" }
  | { readonly kind: "drop"; readonly when: "before" | "after" }
  | { readonly kind: "delay"; readonly milliseconds: number; readonly when: "before" | "after" }
  | { readonly kind: "truncate" }
  | { readonly kind: "garbage" }
  | { readonly kind: "type"; readonly type: string }
  | { readonly kind: "redirect"; readonly status: 301 | 302 | 303 | 307 | 308; readonly to: string };

export type Rule = {
  readonly operation: string;
  readonly fault: Fault;
  /** How many matching calls pass before the first that it hits. */
  skip: number;
  times: number;
  /** How often it struck: a test that expects a fault asserts that it came. */
  hits: number;
};

/** The rules that strike this call now. Each uses itself up. */
export function striking(rules: readonly Rule[], made: Pick<Made, "operation">): readonly Fault[] {
  return rules.flatMap((rule) => {
    if (rule.operation !== made.operation || rule.hits >= rule.times) return [];
    if (rule.skip > 0) {
      rule.skip--;
      return [];
    }
    rule.hits++;
    return [rule.fault];
  });
}
