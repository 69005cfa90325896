import type { Asked, Found } from "../asked.ts";
import type { Rule } from "../policy.ts";
import type { Region } from "./region.ts";

/** A command and what was found for it. */
export type Situation = {
  readonly asked: Asked;
  readonly found: Found;
  /** Of deploy: how many machines are to be out of service at once. A rule that allows fewer does not permit it. */
  readonly unavailable?: number;
};

/** The commands of one action on one resource that rules tell apart by the same fields. */
export type Space = {
  /** What a rule holds here, without its `when`; null when it holds nothing. */
  regionOf(rule: Rule): Region | null;
  /** Whether some command and state lie in the region: some fields depend on each other. */
  possible(region: Region): boolean;
  /** One that lies in the region; null when it would need more names or values than one command may have. */
  sample(region: Region): Situation | null;
  /** The values of a situation by field; null when it is of another space, or such that no rule could permit it. */
  valuesOf(situation: Situation): { readonly [field: string]: number | readonly number[] } | null;
  /** What a region permits, as it follows `may `. `change` and `type` of DNS are left to their caller. */
  words(region: Region): string;
  /** Whether all its commands leave everything as it is: such are said last. */
  idle(region: Region): boolean;
  /** For DNS: the change and type that the space is of. */
  readonly of: { readonly change: string; readonly type: string } | null;
};

export function rangeWords(min: number, max: number, text: (value: number) => string = String): string {
  return min === max ? text(min) : `${text(min)} to ${text(max)}`;
}
