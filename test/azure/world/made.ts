import type { Found } from "./description.ts";

/** One call as it reached the world, and what became of it. */
export type Made = {
  /** What Azure's own log calls it by, and what an outcome holds. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** As Azure's rights name it: "Microsoft.Compute/virtualMachineScaleSets/write". */
  readonly action: string;
  readonly data: boolean;
  /** The resource that its rights are judged on. */
  readonly scope: string;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly userAgent: string;
  readonly clientRequestId: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: unknown;
  readonly found: Found | null;
  /** Azure took the call in hand: its log has it. */
  reached: boolean;
  /** Something in the cloud is different because of it. */
  changed: boolean;
  status: number;
  /** The error's code; null: none. */
  error: string | null;
};

/** What a service refuses. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = "Refused";
  }
}

export type Answer = {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};

/** What goes wrong on the way or at Azure's end. `before`: the call has no effect. `after`: Azure did it, and nobody hears so. */
export type Fault =
  | {
      readonly kind: "error";
      readonly status: number;
      readonly code: string;
      readonly when: "before" | "after";
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly kind: "drop"; readonly when: "before" | "after" }
  | { readonly kind: "truncate" }
  | { readonly kind: "garbage" }
  | { readonly kind: "redirect"; readonly to: string };

export type Rule = {
  readonly action: string;
  readonly fault: Fault;
  /** How many matching calls pass before the first that it hits. */
  skip: number;
  times: number;
  /** How often it struck: a test that expects a fault asserts that it came. */
  hits: number;
};

/** The rule that strikes this call now. Each uses itself up. */
export function striking(rules: readonly Rule[], action: string): Fault | null {
  for (const rule of rules) {
    if (rule.action !== action || rule.hits >= rule.times) continue;
    if (rule.skip > 0) {
      rule.skip--;
      continue;
    }
    rule.hits++;
    return rule.fault;
  }
  return null;
}
