import type { Random } from "./random.ts";

/** One parser under the fuzzer. */
export type Parser = {
  readonly name: string;
  /** No input is longer; the parser's own limit and a little more. */
  readonly maxBytes: number;
  /** Good samples and interesting ones. */
  readonly corpus: readonly Uint8Array[];
  /** Another input from a sample, where bytes alone would not get past the parser's door. */
  readonly mutate?: (random: Random, sample: Uint8Array) => Uint8Array;
  /** Parses, and throws Broken when what must hold does not. Returns `taken`, or in a word why not. */
  readonly hold: (input: Uint8Array) => string | Promise<string>;
};

/** What must hold does not. Anything else that comes out of `hold` is a fault of the parser too: it threw what it may not. */
export class Broken extends Error {}

export function must(holds: boolean, what: string): void {
  if (!holds) throw new Broken(what);
}

export const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf8"));
/** Every byte sequence as a text: what is no UTF-8 becomes U+FFFD, as where a body is read. */
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");

/** A refusal's code, which must be one of the closed list. */
export function codeIn(code: string, closed: readonly string[]): string {
  must(closed.includes(code), `a code that is not in the list: ${code}`);
  return code;
}
