import type { Action } from "../audit/filterWords.ts";

/** What the server answers the page, as JSON. Types only: the page's own code is bundled for browsers. */

/** Before which byte of which segment (by its first index) to read on. */
export type Place = { readonly segment: number; readonly offset: number };

/** A part of the log, newest first, for the page to make rows of. */
export type Rows = {
  /** Lines as they lie on disk. An outcome is followed by its intent, wherever that lies. */
  readonly lines: readonly string[];
  /** Lines that are no entries: the page says so, and `audit verify` judges them. */
  readonly bad: readonly string[];
  /** Where to go on; null when the log's beginning, or what was asked for, was reached. */
  readonly next: Place | null;
  /** Time of the oldest line that was looked at. */
  readonly back: string | null;
};

export type Range = {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly unit: "machines" | "seconds";
};
export type Allowed = {
  readonly name: string;
  readonly values: readonly string[];
  /** False: what is below or within these, not these alone. */
  readonly exactly: boolean;
};
/** A rule as the sentence that a reviewer signs, and the limits that use is held against. */
export type ShownRule = {
  readonly id: string;
  readonly action: Action;
  readonly sentence: string;
  readonly rate: { readonly times: number; readonly seconds: number; readonly text: string };
  readonly ranges: readonly Range[];
  readonly lists: readonly Allowed[];
};
export type ShownPolicy = {
  /** The digest of the policy in force; null when none is at hand. `fault`: why its file says nothing. */
  readonly current: string | null;
  readonly fault: string | null;
  readonly about: readonly string[];
  readonly rules: readonly ShownRule[];
  /** Sentences by policy's digest and rule's id, of older policies too. */
  readonly sentences: Readonly<Record<string, Readonly<Record<string, string>>>>;
};

/** A witness's key as notes' tools write it, and whose choice it is. */
export type NamedWitness = { readonly key: string; readonly of: "owner" | "control-plane" };
