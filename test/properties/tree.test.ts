import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { consistencyProof, inclusionProofs, verifyConsistency } from "../../agent/audit/consistency.ts";
import {
  emptyTree,
  grow,
  inclusionProof,
  leafHash,
  rootOf,
  rootOfTree,
  type Tree,
  verifyInclusion,
} from "../../agent/audit/tree.ts";

/** RFC 6962 section 2.1, written down as it stands there, over all leaves each time: what the log's tree is held to. */
const sha256 = (...parts: readonly Uint8Array[]): Buffer => createHash("sha256").update(Buffer.concat(parts)).digest();
const largestPower = (below: number): number => 2 ** Math.ceil(Math.log2(below) - 1);
function mth(entries: readonly string[]): Buffer {
  const [first] = entries;
  if (first === undefined) return sha256();
  if (entries.length === 1) return sha256(Buffer.of(0), Buffer.from(first));
  const k = largestPower(entries.length);
  return sha256(Buffer.of(1), mth(entries.slice(0, k)), mth(entries.slice(k)));
}
function path(m: number, entries: readonly string[]): Buffer[] {
  if (entries.length === 1) return [];
  const k = largestPower(entries.length);
  return m < k
    ? [...path(m, entries.slice(0, k)), mth(entries.slice(k))]
    : [...path(m - k, entries.slice(k)), mth(entries.slice(0, k))];
}
function subproof(m: number, entries: readonly string[], whole: boolean): Buffer[] {
  if (m === entries.length) return whole ? [] : [mth(entries)];
  const k = largestPower(entries.length);
  return m <= k
    ? [...subproof(m, entries.slice(0, k), whole), mth(entries.slice(k))]
    : [...subproof(m - k, entries.slice(k), false), mth(entries.slice(0, k))];
}

const entries = fc.array(fc.string({ maxLength: 6 }), { minLength: 1, maxLength: 70 });
const within = (all: fc.Arbitrary<string[]>) =>
  all.chain((lines) => fc.tuple(fc.constant(lines), fc.nat(lines.length - 1), fc.nat(lines.length - 1)));
function treeOf(lines: readonly string[]): Tree {
  const tree = emptyTree();
  for (const line of lines) grow(tree, leafHash(line));
  return tree;
}
const hex = (hashes: readonly Buffer[]): string[] => hashes.map((hash) => hash.toString("hex"));

test("roots, audit paths and consistency proofs are those of RFC 6962, and are verified", () => {
  fc.assert(
    fc.property(within(entries), ([lines, index, before]) => {
      const leaves = lines.map((line) => leafHash(line));
      const root = mth(lines);
      expect(rootOf(lines).equals(root)).toBe(true);
      expect(rootOfTree(treeOf(lines)).equals(root)).toBe(true);
      const proof = inclusionProof(leaves, index);
      expect(hex(proof)).toEqual(hex(path(index, lines)));
      expect(verifyInclusion(leaves[index] as Buffer, index, lines.length, proof, root)).toBe(true);
      const old = before + 1;
      const steps = consistencyProof(treeOf(lines.slice(0, old)), lines.length, leaves.slice(old));
      expect(hex(steps)).toEqual(hex(subproof(old, lines, true)));
      const first = { size: old, root: mth(lines.slice(0, old)) };
      expect(verifyConsistency(first, { size: lines.length, root }, steps)).toBe(true);
      if (before < lines.length && old < lines.length) {
        const each = inclusionProofs(treeOf(lines.slice(0, old)), lines.length, lines.length, leaves.slice(old));
        expect(each.map(hex)).toEqual(lines.slice(old).map((_, at) => hex(path(old + at, lines))));
      }
    }),
    { numRuns: 200 },
  );
}, 120_000);

test("another leaf, place, size, root or hash is proven by no proof", () => {
  let refused = 0;
  const change = fc.record({ which: fc.nat(5), at: fc.nat(100), by: fc.integer({ min: 1, max: 255 }) });
  fc.assert(
    fc.property(within(entries), change, ([lines, index, before], { which, at, by }) => {
      const leaves = lines.map((line) => leafHash(line));
      const root = mth(lines);
      const spoilt = (bytes: Buffer): Buffer => {
        const copy = Buffer.from(bytes);
        copy[at % copy.length] = (copy[at % copy.length] ?? 0) ^ by;
        return copy;
      };
      const proof = inclusionProof(leaves, index);
      const inProof =
        proof.length === 0 ? [spoilt(root)] : proof.with(at % proof.length, spoilt(proof[at % proof.length] as Buffer));
      const leaf = leaves[index] as Buffer;
      const size = lines.length;
      const wrong = [
        () => verifyInclusion(spoilt(leaf), index, size, proof, root),
        () => verifyInclusion(leaf, index, size, proof, spoilt(root)),
        () => verifyInclusion(leaf, index, size, inProof, root),
        () => verifyInclusion(leaf, index, size, [...proof, root], root),
        // Another place holds, if anything, another leaf.
        () => lines[at % size] !== lines[index] && verifyInclusion(leaf, at % size, size, proof, root),
        () => {
          const old = { size: before + 1, root: mth(lines.slice(0, before + 1)) };
          const steps = consistencyProof(treeOf(lines.slice(0, old.size)), size, leaves.slice(old.size));
          return verifyConsistency({ ...old, root: spoilt(old.root) }, { size, root }, steps);
        },
      ];
      expect(wrong[which]?.()).toBe(false);
      refused += 1;
    }),
    { numRuns: 600 },
  );
  expect(refused).toBeGreaterThan(500);
}, 120_000);
