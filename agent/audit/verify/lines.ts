import type { Disk } from "../../host/host.ts";
import { canonical } from "../../wire/canonical.ts";
import { type CarryFile, carryName, linesOf, textOf } from "../folder.ts";
import { readLine } from "../line.ts";
import { emptyMemory, fold, memoryState } from "../memory.ts";
import { openingFault, samePeaks } from "../opening.ts";
import { grow, leafHash, rootOfTree, treeOf } from "../tree.ts";
import { indexIn, kindOf } from "./diagnose.ts";
import { senseFault } from "./sense.ts";
import { isSignedAsItStands } from "./signed.ts";
import { carryOf, namingOf, placeOf, type Source } from "./sources.ts";
import { type Damage, type DamageKind, Found, type Progress } from "./verdict.ts";

/** All that looking at the lines needs. `hold`: to be called after each entry, holds the heads of that size. */
export type Looking = {
  readonly disk: Disk;
  readonly folders: readonly string[];
  readonly sources: readonly Source[];
  /** Sizes of heads, rising. */
  readonly heads: readonly { readonly size: number; readonly root: Buffer }[];
  /** What the newest of the log's own heads covers. */
  readonly ownSize: number;
  /** Entries up to this moment are asked about, milliseconds since 1970. */
  readonly asOf: number;
  hold(): void;
};

/** Looks at every line of every segment, in order. Throws Found at the first that is wrong. */
export function lookAtLines(looking: Looking, progress: Progress): void {
  for (const at of looking.sources.keys()) {
    const carry = begin(looking, at, progress);
    looking.hold();
    lookAtSegment(looking, at, carry, progress);
  }
  const covered = looking.heads.at(-1)?.size ?? 0;
  const last = looking.sources.at(-1);
  if (covered <= progress.tree.size || last === undefined) return;
  // The log's own heads know of no more: it is as it once was, and a witness has seen it since.
  const isOlder = looking.ownSize <= progress.tree.size;
  throw new Found({
    kind: isOlder ? "rolled-back" : "truncated",
    ...placeOf(looking.sources, progress.tree.size),
    to: covered - 1,
    what: "cut-off",
    because: `the log ends here, and ${isOlder ? "a cosigned head" : "its newest checkpoint"} covers ${covered} entries`,
  });
}

/** What the entries before a segment come to: as counted, or where they are missing as its carry file or its first line says. */
function begin({ disk, folders, sources }: Looking, at: number, progress: Progress): CarryFile | null {
  const source = sources[at] as Source;
  const { first } = source;
  const { size } = progress.tree;
  const fail = (kind: DamageKind, what: string, because: string, file = source.name): Found =>
    new Found({ ...placeOf(sources, first), kind, file, what, because });
  if (first < size)
    throw fail("inserted", "segment", `the segment begins at ${first}, and the one before it goes to ${size - 1}`);
  const carry = first === 0 ? null : carryOf(disk, folders, first);
  if (carry === "broken") throw fail("edited", "carry", "its carry file is not what the agent wrote", carryName(first));
  const naming = first === 0 ? null : namingOf(disk, source);
  if (first === size && progress.rooted) {
    if (first > progress.good) holdToNext(sources, first, carry, naming, progress);
    if (carry === null || !progress.remembers) return carry;
    const same =
      rootOfTree(carry.tree).equals(rootOfTree(progress.tree)) &&
      canonical(memoryState(carry.memory)) === canonical(memoryState(progress.memory));
    if (!same)
      throw fail("edited", "carry", "its carry file says something else than the entries before it", carryName(first));
    return carry;
  }
  const before = sources[at - 1];
  if (first > size && before !== undefined && naming?.kind === "segment" && naming.before.from === before.first)
    throw new Found({
      kind: "truncated",
      index: size,
      to: first - 1,
      file: before.name,
      line: size - before.first + 1,
      what: "cut-off",
      because: `the segment ends here, and the next one begins at ${first}`,
    });
  if (first > size) progress.missing.push({ from: size, to: first });
  if (progress.oldest === null) progress.from = first;
  else if (progress.good < size)
    progress.remarks.push(`entries ${progress.good} to ${size - 1}, before a gap, are covered by no head that is here`);
  goOnFrom(source, carry, naming ?? namingOf(disk, source), progress);
  return carry;
}

/**
 * Where no head covers the end of a segment by itself, what the next one begins with says what its entries came to: its first line and its
 * carry file. One of them alone may be what was changed.
 */
function holdToNext(
  sources: readonly Source[],
  first: number,
  carry: CarryFile | null,
  naming: ReturnType<typeof namingOf>,
  progress: Progress,
): void {
  const bySame = naming?.kind === "segment" ? samePeaks(naming.peaks, progress.tree) : null;
  const carrySame = carry === null ? null : rootOfTree(carry.tree).equals(rootOfTree(progress.tree));
  if (bySame === true || carrySame === true || (bySame === null && carrySame === null)) return;
  throw new Found({
    ...placeOf(sources, progress.good),
    to: first - 1,
    kind: "edited",
    what: "root",
    because: `entries ${progress.good} to ${first - 1} are not those that the segment after them goes on from`,
  });
}

/**
 * After a gap only the segment's own first line counts: the CA vouches for its key, which signs the heads that cover the line, and with it the
 * carry file and the key before. Without such a line nothing is believed, and the line is damage where it is looked at.
 */
function goOnFrom(
  { first, name }: Source,
  carry: CarryFile | null,
  naming: ReturnType<typeof namingOf>,
  progress: Progress,
): void {
  progress.remembers = carry !== null;
  progress.good = first;
  progress.after = first;
  if (naming?.kind !== "segment" || naming.index !== first) {
    progress.memory = { ...(carry?.memory ?? emptyMemory(null)), logKey: null };
    progress.rooted = false;
    progress.tree = { size: first, peaks: [] };
    return;
  }
  progress.memory = carry?.memory ?? { ...emptyMemory(null), logKey: { origin: naming.origin, ...naming.before } };
  progress.rooted = true;
  progress.namings.push(naming);
  progress.tree = carry?.tree ?? frontierOf(naming, name, first);
  progress.origin ??= naming.origin;
}

function frontierOf({ peaks }: { readonly peaks: readonly string[] }, file: string, first: number) {
  try {
    return treeOf({ size: first, peaks });
  } catch {
    throw new Found({
      kind: "edited",
      index: first,
      to: first,
      file,
      line: 1,
      what: "segment",
      because: `its frontier is not of a tree of ${first} entries`,
    });
  }
}

function lookAtSegment(looking: Looking, at: number, carry: CarryFile | null, progress: Progress): void {
  const { disk, sources } = looking;
  const source = sources[at] as Source;
  const isLast = at === sources.length - 1;
  const covered = looking.heads.at(-1)?.size ?? 0;
  const lines = linesOf(disk, source.path);
  for (let next = lines.next(); !next.done; next = lines.next()) {
    const { bytes, ended, offset } = next.value;
    const index = progress.tree.size;
    const { length } = bytes;
    const text = ended ? textOf(bytes) : null;
    const leaf = progress.rooted ? leafHash(bytes) : null;
    const read = text === null ? { fault: ended ? "not-utf8" : "cut-off" } : readLine(text);
    const wrong = (what: string, because: string, kind?: DamageKind): Found => {
      const says = "entry" in read ? read.entry.index : text === null ? null : indexIn(text);
      const upTo = sources[at + 1]?.first ?? (covered > index ? covered : null);
      const found = kind ?? kindOf(disk, sources, at, { index, says: "entry" in read ? says : null, ended }, upTo);
      const line = index - source.first + 1;
      return new Found({ kind: found, index, to: index, file: source.name, line, what, because });
    };
    if (!("entry" in read)) {
      const last = isLast && index >= covered && (!ended || lines.next().done === true);
      if (!last) throw wrong(read.fault, "the line is not an entry of this log");
      progress.remarks.push(
        `${source.name} ends in ${length} bytes of a write that was cut off; the agent moves them aside when it starts`,
      );
      return;
    }
    const { entry } = read;
    if (entry.index !== index) throw wrong("index", "it names another index than its place");
    const opens = source.first > 0 && index === source.first;
    const opening = openingFault(entry, opens, {
      tree: progress.rooted ? progress.tree : null,
      memory: progress.memory,
      carry: opens ? (carry?.digest ?? null) : null,
    });
    // Held to the entries before, the carry file says what it should: then the line is what was changed.
    const isUnheld = progress.missing.at(-1)?.to === index;
    if (opening !== null)
      throw opening.what === "carry" && isUnheld
        ? new Found({ ...placeOf(sources, index), kind: "edited", file: carryName(index), ...opening })
        : wrong(opening.what, opening.because, "edited");
    const fault = senseFault(entry, index, progress);
    if (fault !== null) throw senseless(looking, at, offset, progress, wrong, fault);
    if (leaf !== null) grow(progress.tree, leaf);
    else progress.tree.size += 1;
    fold(progress.memory, entry);
    progress.like ??= { epoch: entry.epoch, cluster: entry.cluster };
    if (entry.kind === "epoch") progress.origin ??= entry.origin;
    progress.bytes += length + 1;
    progress.oldest ??= entry.time;
    progress.newest = entry.time;
    // The memory has read the entry's time, which is behind none before it.
    if (progress.memory.newest <= looking.asOf) progress.asked = index + 1;
    progress.kinds.set(entry.kind, (progress.kinds.get(entry.kind) ?? 0) + 1);
    looking.hold();
  }
}

/** An entry that makes no sense after those before it: written so and signed, or changed since, here or in one before it that no head covers by itself. */
function senseless(
  looking: Looking,
  at: number,
  offset: number,
  progress: Progress,
  wrong: (what: string, because: string, kind?: DamageKind) => Found,
  { what, because }: Pick<Damage, "what" | "because">,
): Found {
  const signed = progress.rooted && isSignedAsItStands(looking, at, offset, progress.tree);
  if (signed) return wrong(what, because, "contradicting");
  const found = wrong(what, because, "edited");
  return new Found({ ...found.damage, ...placeOf(looking.sources, progress.good), to: found.damage.index });
}
