import type { Verdict } from "./check.ts";
import type { Usage } from "./usage.ts";

/** What page and worker say to each other: structured clones, no markup. */
export type ToWorker =
  | { readonly key: string }
  | { readonly ask: number; readonly index: number; readonly line: string };
export type FromWorker =
  | { readonly kind: "progress"; readonly lines: number; readonly segment: number; readonly segments: number }
  | { readonly kind: "verdict"; readonly verdict: Verdict; readonly usage: Usage }
  | { readonly kind: "failed"; readonly because: string }
  /** Whether the line stands at its index in what was checked; null when the check did not come so far. */
  | { readonly kind: "same"; readonly ask: number; readonly same: boolean | null };
