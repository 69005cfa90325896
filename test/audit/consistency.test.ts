import { expect, test } from "bun:test";
import { consistencyProof, inclusionProofs, verifyConsistency } from "../../agent/audit/consistency.ts";
import {
  emptyTree,
  grow,
  inclusionProof,
  leafHash,
  rootOfTree,
  type Tree,
  treeOf,
  treeState,
} from "../../agent/audit/tree.ts";

/** Every pair of sizes up to 33; the same proofs are held to Go's sumdb/tlog and transparency-dev's merkle in test/witness. */
const MOST = 33;
const leaves = Array.from({ length: MOST }, (_, n) => leafHash(`entry ${n}`));
const trees: Tree[] = [emptyTree()];
const growing = emptyTree();
for (const leaf of leaves) {
  grow(growing, leaf);
  trees.push(treeOf(treeState(growing)));
}
const treeAt = (size: number): Tree => trees[size] as Tree;
const at = (size: number) => ({ size, root: rootOfTree(treeAt(size)) });

function* pairs(): Generator<[number, number]> {
  for (let now = 1; now <= MOST; now++) for (let old = 1; old <= now; old++) yield [old, now];
}

test("a tree proves from its frontier and the leaves after it that it goes on from an older one", () => {
  let proofs = 0;
  for (const [old, now] of pairs()) {
    const proof = consistencyProof(treeAt(old), now, leaves.slice(old));
    expect([old, now, verifyConsistency(at(old), at(now), proof)]).toEqual([old, now, true]);
    proofs += proof.length;
  }
  expect(proofs).toBeGreaterThan(1500);
});

test("no consistency proof holds with a hash changed, dropped, added or swapped, or for another size or root", () => {
  let wrong = 0;
  const holds: unknown[] = [];
  const hold = (...args: Parameters<typeof verifyConsistency>): void => {
    wrong++;
    if (verifyConsistency(...args)) holds.push(args);
  };
  for (const [old, now] of pairs()) {
    const proof = consistencyProof(treeAt(old), now, leaves.slice(old));
    for (const [place, hash] of proof.entries()) {
      const changed = Buffer.from(hash);
      changed[place % 32] = (changed[place % 32] ?? 0) ^ 1;
      hold(at(old), at(now), proof.with(place, changed));
      hold(at(old), at(now), proof.toSpliced(place, 1));
      const next = proof[place + 1];
      if (next !== undefined) hold(at(old), at(now), proof.with(place, next).with(place + 1, hash));
    }
    hold(at(old), at(now), [...proof, leaves[0] as Buffer]);
    if (old < now) hold(at(now), at(old), proof);
    hold(at(old), { size: now, root: at(now === 1 ? 2 : now - 1).root }, proof);
    if (old > 1) hold({ size: old, root: at(old - 1).root }, at(now), proof);
  }
  expect(holds).toEqual([]);
  expect(wrong).toBeGreaterThan(5000);
});

test("the audit paths of a range are those of RFC 6962, whatever lies before and beyond it", () => {
  let paths = 0;
  for (let size = 1; size <= 20; size++)
    for (let from = 0; from < size; from++)
      for (let to = from + 1; to <= size; to++) {
        const found = inclusionProofs(treeAt(from), to, size, leaves.slice(from));
        const wanted = Array.from({ length: to - from }, (_, n) => inclusionProof(leaves.slice(0, size), from + n));
        expect(found.map((path) => path.map(String))).toEqual(wanted.map((path) => path.map(String)));
        paths += found.length;
      }
  expect(paths).toBeGreaterThan(5000);
});

test("leaves that are missing make no proof", () => {
  expect(() => consistencyProof(treeAt(3), 9, leaves.slice(3, 8))).toThrow(RangeError);
  expect(() => consistencyProof(treeAt(9), 3, [])).toThrow(RangeError);
  expect(() => inclusionProofs(treeAt(3), 5, 9, leaves.slice(3, 8))).toThrow(RangeError);
  expect(() => inclusionProofs(treeAt(5), 5, 9, leaves.slice(5))).toThrow(RangeError);
});
