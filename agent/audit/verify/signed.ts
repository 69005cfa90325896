import type { Disk } from "../../host/host.ts";
import { linesOf } from "../folder.ts";
import { grow, leafHash, rootOfTree, type Tree } from "../tree.ts";
import type { Source } from "./sources.ts";

type Where = {
  readonly disk: Disk;
  readonly sources: readonly Source[];
  readonly heads: readonly { readonly size: number; readonly root: Buffer }[];
};

/**
 * Whether the lines from a place on, as they stand, lead to the root of the next head: then whoever held the log's key signed them so.
 * `tree`: what the lines before come to.
 */
export function isSignedAsItStands({ disk, sources, heads }: Where, at: number, offset: number, tree: Tree): boolean {
  const head = heads.find(({ size }) => size > tree.size);
  if (head === undefined) return false;
  const grown: Tree = { size: tree.size, peaks: [...tree.peaks] };
  for (const [number, { path, first }] of sources.slice(at).entries()) {
    if (number > 0 && first !== grown.size) return false;
    for (const { bytes, ended } of linesOf(disk, path, number === 0 ? offset : 0)) {
      if (!ended) return false;
      grow(grown, leafHash(bytes));
      if (grown.size === head.size) return rootOfTree(grown).equals(head.root);
    }
  }
  return false;
}
