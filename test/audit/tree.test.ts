import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import fc from "fast-check";
import {
  emptyTree,
  grow,
  inclusionProof,
  leafHash,
  rootOf,
  rootOfTree,
  treeOf,
  treeState,
  verifyInclusion,
} from "../../agent/audit/tree.ts";

/** RFC 6962 section 2.1, written down as it stands there. */
function naive(lines: readonly string[]): Buffer {
  const sha = (...parts: (string | Buffer)[]) => {
    const hash = createHash("sha256");
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  if (lines.length === 0) return sha("");
  if (lines.length === 1) return sha(Buffer.of(0), lines[0] ?? "");
  let k = 1;
  while (k * 2 < lines.length) k *= 2;
  return sha(Buffer.of(1), naive(lines.slice(0, k)), naive(lines.slice(k)));
}

/** From certificate-transparency-go, merkle tests: inputs and the roots after each. */
const INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS = [
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

test("the roots of Certificate Transparency's own vectors come out, after each leaf", () => {
  const tree = emptyTree();
  for (const [at, input] of INPUTS.entries()) {
    grow(tree, leafHash(Buffer.from(input, "hex")));
    expect(rootOfTree(tree).toString("hex")).toBe(ROOTS[at] ?? "");
  }
});

const someLines = fc.array(fc.string({ unit: "grapheme", maxLength: 40 }), { maxLength: 70 });

test("the tree kept as peaks has the root that RFC 6962 defines, and a stored state goes on where it was", () => {
  fc.assert(
    fc.property(someLines, fc.nat(70), (lines, cut) => {
      const tree = emptyTree();
      for (const line of lines.slice(0, cut)) grow(tree, leafHash(line));
      const later = treeOf(treeState(tree));
      for (const line of lines.slice(cut)) grow(later, leafHash(line));
      expect(rootOfTree(later)).toEqual(naive(lines));
      expect(rootOf(lines)).toEqual(naive(lines));
    }),
  );
});

test("an inclusion proof holds for its leaf, its index and its root, and for no other", () => {
  fc.assert(
    fc.property(someLines, fc.nat(), (lines, pick) => {
      fc.pre(lines.length > 0);
      const leaves = lines.map((line) => leafHash(line));
      const index = pick % lines.length;
      const root = naive(lines);
      const leaf = leaves[index] ?? Buffer.alloc(32);
      const path = inclusionProof(leaves, index);
      expect(verifyInclusion(leaf, index, lines.length, path, root)).toBe(true);
      expect(verifyInclusion(leafHash("another line than any of the rest"), index, lines.length, path, root)).toBe(
        false,
      );
      expect(verifyInclusion(leaf, index, lines.length, [...path, root], root)).toBe(false);
      expect(verifyInclusion(leaf, index, lines.length, path.slice(1), root)).toBe(path.length === 0);
      expect(verifyInclusion(leaf, index, lines.length, path, Buffer.alloc(32))).toBe(false);
    }),
  );
});

test("a state whose peaks do not fit its size is refused", () => {
  expect(() => treeOf({ size: 3, peaks: [] })).toThrow();
  expect(() => treeOf({ size: 1, peaks: ["AAAA"] })).toThrow();
  expect(() => treeOf({ size: -1, peaks: [] })).toThrow();
});
