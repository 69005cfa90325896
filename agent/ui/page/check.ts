import type { NamedWitness } from "../shapes.ts";
import { base64 } from "./bytes.ts";
import { isHandedOver, type KeyRange, openingOf, peaksOf, rangeFor, rangeOf, type Vouched, vouchFor } from "./keys.ts";
import { cosignedAt, type Head, headOf, isSignedBy, witnessOf } from "./note.ts";
import { addLeaf, isSame, leafOf, rootOf, type Tree, treeOf } from "./tree.ts";

/**
 * The log as bytes, held to its signed heads: an own reader in the browser, which takes nothing from the server but lines, notes, and what the owner named
 * on the command line (CA and witnesses). It does not judge what entries say: `reeve audit verify` does.
 */
export type Heads = {
  readonly notes: readonly string[];
  /** A file of heads holds what is no note. */
  readonly bad: boolean;
  readonly segments: readonly number[];
  readonly ca: string | null;
  readonly witnesses: readonly NamedWitness[];
};
/** `size`: of the newest head that it cosigned, at `time` (seconds since 1970); 0 for none. */
export type Witnessed = Pick<NamedWitness, "of"> & {
  readonly name: string;
  readonly size: number;
  readonly time: number;
};
export type Verdict = {
  readonly state: "whole" | "incomplete" | "damaged";
  /** For damage: the first entry that it is known to be in, and the sentence. */
  readonly damage: { readonly index: number; readonly because: string } | null;
  /** Entries that are there: from the first, to before `size`. */
  readonly from: number;
  readonly size: number;
  readonly missing: readonly { readonly from: number; readonly to: number }[];
  readonly heads: number;
  readonly newest: { readonly size: number; readonly time: string } | null;
  readonly keys: number;
  readonly origin: string | null;
  readonly vouched: Vouched | null;
  readonly unvouched: string | null;
  readonly witnesses: readonly Witnessed[];
};

class Damage extends Error {
  constructor(
    readonly index: number,
    readonly because: string,
  ) {
    super(because);
  }
}

export type Check = {
  /** Before a segment's lines. */
  begin(segment: number, firstLine: Uint8Array): Promise<void>;
  /** The next line, without its newline. Returns its leaf. */
  take(line: Uint8Array): Promise<Uint8Array>;
  end(): Promise<Verdict>;
  /** What an error of the others says of the log; anything else is thrown on. */
  verdictOf(error: unknown): Promise<Verdict>;
};

export function newCheck({ notes, bad, ca, witnesses }: Heads): Check {
  let tree: Tree = { size: 0, peaks: [] };
  let rooted = true;
  let from: number | null = null;
  let held = 0;
  let lastHeld = 0;
  const missing: { from: number; to: number }[] = [];
  const ranges: KeyRange[] = [];
  const read = notes.map(headOf);
  const heads = read.filter((head) => head !== null).sort((one, other) => one.size - other.size);
  const bySize = Map.groupBy(heads, ({ size }) => size);
  const newest = heads.at(-1) ?? null;

  async function begin(segment: number, firstLine: Uint8Array): Promise<void> {
    const opening = openingOf(new TextDecoder().decode(firstLine));
    if (segment < tree.size) throw new Damage(segment, "a segment begins before the one before it ends");
    if (segment > 0 && (opening?.kind !== "segment" || opening.index !== segment))
      throw new Damage(segment, "a segment begins without the line that names its key");
    const peaks = opening === null ? null : peaksOf(opening);
    const named = peaks === null ? null : treeOf(segment, peaks);
    // A log from before segments named their keys has no such line, and one key from entry 0 on; without a gap its heads hold all of it.
    const unkeyed = segment === tree.size && rooted && ranges.length === 1 && ranges[0]?.from === 0;
    if (segment > 0 && opening?.kind !== "segment" && !unkeyed)
      throw new Damage(segment, "a segment begins without the line that names its key and the entries before it");
    if (segment === tree.size) {
      if (peaks !== null && rooted && (named === null || !isSame(rootOf(named), rootOf(tree))))
        throw new Damage(segment, "a segment's first line says something else of the entries before it");
    } else {
      missing.push({ from: tree.size, to: segment });
      rooted = named !== null;
      tree = named ?? { size: segment, peaks: [] };
    }
    from ??= segment;
    const range = opening === null ? null : rangeOf(opening);
    if (opening === null || range === null) return;
    const before = ranges.at(-1);
    const whole = missing.at(-1)?.to !== segment;
    if (before !== undefined && opening.kind === "segment" && whole && !(await isHandedOver(before, opening)))
      throw new Damage(segment, "the log's key before did not hand over to the one named here");
    ranges.push(range);
  }

  async function take(line: Uint8Array): Promise<Uint8Array> {
    const leaf = leafOf(line);
    if (!rooted) {
      tree.size += 1;
      return leaf;
    }
    addLeaf(tree, leaf);
    for (const head of bySize.get(tree.size) ?? []) await hold(head);
    return leaf;
  }

  async function hold(head: Head): Promise<void> {
    const range = rangeFor(ranges, head.size);
    const key = range === null ? null : base64(range.key);
    if (range === null || key === null) throw new Damage(head.size - 1, "a head is of a log whose key nothing names");
    if (head.origin !== range.origin)
      throw new Damage(head.size - 1, `the head of ${head.size} entries is of ${head.origin}`);
    if (!(await isSignedBy(head, key)))
      throw new Damage(head.size - 1, `the head of ${head.size} entries is not signed by the key that may sign it`);
    if (!isSame(head.root, rootOf(tree)))
      throw new Damage(
        lastHeld,
        `entries ${lastHeld} to ${head.size - 1} are not those that the head of ${head.size} entries was signed over`,
      );
    held += 1;
    lastHeld = head.size;
  }

  async function end(): Promise<Verdict> {
    if (bad || read.includes(null)) throw new Damage(tree.size, "a note in the files of heads is no head");
    if (newest === null && from !== null)
      throw new Damage(from, "there is no signed head: nobody vouches for a single entry");
    if (newest !== null && newest.size > tree.size)
      throw new Damage(tree.size, `the log ends here, and its newest head covers ${newest.size} entries`);
    if (held === 0 && from !== null && tree.size > from)
      throw new Damage(from, "no head covers what is here: nobody vouches for a single entry");
    return verdict(missing.length > 0 ? "incomplete" : "whole", null);
  }

  async function verdict(state: Verdict["state"], damage: Verdict["damage"]): Promise<Verdict> {
    const { vouched, unvouched } = await whoVouches(ranges, ca);
    return {
      state,
      damage,
      from: from ?? 0,
      size: tree.size,
      missing,
      heads: held,
      newest: lastHeld === 0 ? null : { size: lastHeld, time: bySize.get(lastHeld)?.at(-1)?.time ?? "" },
      keys: ranges.length,
      origin: ranges[0]?.origin ?? null,
      vouched,
      unvouched,
      witnesses: await Promise.all(witnesses.map((one) => witnessed(one, heads, lastHeld))),
    };
  }

  async function verdictOf(error: unknown): Promise<Verdict> {
    if (!(error instanceof Damage)) throw error;
    return verdict("damaged", { index: error.index, because: error.because });
  }
  return { begin, take, end, verdictOf };
}

/** Every key must be vouched for; the first that is not says why. */
async function whoVouches(
  ranges: readonly KeyRange[],
  ca: string | null,
): Promise<Pick<Verdict, "vouched" | "unvouched">> {
  if (ca === null) return { vouched: null, unvouched: "no CA was given" };
  let vouched: Vouched | null = null;
  for (const range of ranges) {
    const one = await vouchFor(range, ca);
    if ("not" in one) return { vouched: null, unvouched: `key of entry ${range.from}: ${one.not}` };
    vouched = one;
  }
  return { vouched, unvouched: vouched === null ? "no entry names a key" : null };
}

/** The newest head that a witness cosigned, of those that the lines were held to. */
async function witnessed({ key, of }: NamedWitness, heads: readonly Head[], upTo: number): Promise<Witnessed> {
  const witness = witnessOf(key);
  const name = witness?.name ?? key.slice(0, 64);
  for (const head of heads.toReversed()) {
    if (witness === null || head.size > upTo) continue;
    const time = await cosignedAt(head, witness);
    if (time !== null) return { name, of, size: head.size, time };
  }
  return { name, of, size: 0, time: 0 };
}
