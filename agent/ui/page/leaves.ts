const HASH_BYTES = 32;

/** The leaf hash of every line that was checked, by index: 32 bytes each, so that a line shown later can be held to it. */
export type Leaves = { from: number; count: number; bytes: Uint8Array };

export function emptyLeaves(): Leaves {
  return { from: 0, count: 0, bytes: new Uint8Array(1024 * HASH_BYTES) };
}

/** `index` is the next one, or one behind a gap: what lies before a gap is forgotten. */
export function keepLeaf(leaves: Leaves, index: number, leaf: Uint8Array): void {
  if (leaves.from + leaves.count !== index) {
    leaves.from = index;
    leaves.count = 0;
  }
  const at = leaves.count * HASH_BYTES;
  if (at === leaves.bytes.length) {
    const larger = new Uint8Array(2 * at);
    larger.set(leaves.bytes);
    leaves.bytes = larger;
  }
  leaves.bytes.set(leaf, at);
  leaves.count += 1;
}

export function leafAt({ from, count, bytes }: Leaves, index: number): Uint8Array | null {
  const at = (index - from) * HASH_BYTES;
  return index < from || index >= from + count ? null : bytes.subarray(at, at + HASH_BYTES);
}
