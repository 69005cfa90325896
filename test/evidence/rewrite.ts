import type { KeyObject } from "node:crypto";
import { checkpointRecord } from "../../agent/audit/folder.ts";
import { checkpointText, parseCheckpoint, signNote } from "../../agent/audit/note.ts";
import { emptyTree, grow, leafHash, rootOfTree } from "../../agent/audit/tree.ts";
import { type Copy, fileOf, linesIn } from "./copy.ts";

/** The copy with one entry changed into another good one, and every head from there on signed over it by `key`. */
export function rewritten(
  copy: Copy,
  segments: readonly string[],
  index: number,
  origin: string,
  key: KeyObject,
  notes: readonly string[],
): Copy {
  const changed = new Map(copy);
  const tree = emptyTree();
  const roots: Buffer[] = [];
  for (const name of segments) {
    const lines = linesIn(copy.get(name) ?? Buffer.alloc(0)).map((line) =>
      (JSON.parse(line) as { index: number }).index === index
        ? line.replace("0.1.0", "0.1.9").replace("at most 9", "at most 8").replace("INC-1", "INC-2")
        : line,
    );
    changed.set(name, fileOf(lines));
    for (const line of lines) {
      grow(tree, leafHash(line));
      roots.push(rootOfTree(tree));
    }
  }
  const again = notes.map((note) => {
    const at = parseCheckpoint(note);
    if (at === null || at.size <= index) return note;
    return signNote(checkpointText({ ...at, root: roots[at.size - 1] ?? Buffer.alloc(32) }), origin, key);
  });
  return changed.set("checkpoints", Buffer.from(again.map(checkpointRecord).join("")));
}
