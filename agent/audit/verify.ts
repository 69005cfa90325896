import { type Disk, DiskError } from "../host/host.ts";
import { COSIGNED } from "./folder.ts";
import { keyOfEpoch } from "./logKeys.ts";
import { emptyMemory } from "./memory.ts";
import { timeOf, timeText } from "./time.ts";
import { emptyTree } from "./tree.ts";
import { type Against, heldAgainst } from "./verify/against.ts";
import { type Head, headsOf, holdTo } from "./verify/heads.ts";
import { type Looking, lookAtLines } from "./verify/lines.ts";
import { localised } from "./verify/localise.ts";
import { damageText, missingText, unvouchedText, witnessText } from "./verify/says.ts";
import { copyDamage, namingOf, type Source, sourcesIn } from "./verify/sources.ts";
import {
  COULD_NOT_LOOK,
  DAMAGED,
  type Damage,
  type Ending,
  Found,
  INCOMPLETE,
  type Progress,
  type Verdict,
  type VerifyExit,
  verdict,
  WHOLE_UNWITNESSED,
  WITNESSED,
  WITNESSED_BY_CONTROL_PLANE,
  type Witness,
  type Witnessed,
} from "./verify/verdict.ts";
import { type Vouched, vouch } from "./vouch.ts";

export { COULD_NOT_LOOK, type Verdict } from "./verify/verdict.ts";

/** What a log is judged by. */
export type Given = {
  /** PEM of the CA that the agent's certificates must lead to; without it the keys vouch for nothing but themselves: 14. */
  readonly ca: string | null;
  /** Folders that archived segments were moved to. */
  readonly with?: readonly string[];
  readonly witnesses?: readonly Witness[];
  /** Only entries up to this moment need a witness, one that cosigned then or later; milliseconds since 1970. */
  readonly asOf?: number | null;
  /** Another copy, or a head that was kept elsewhere. */
  readonly against?: Against | null;
};

/**
 * Looks at everything in a log's folder, in order, holding one line in memory at a time. Changes nothing, takes no lock, needs no network.
 */
export async function verifyLog(disk: Disk, folder: string, given: Given): Promise<Verdict> {
  const witnesses = given.witnesses ?? [];
  const progress = beginning();
  const folders = [folder, ...(given.with ?? [])];
  let sources: Source[] = [];
  let damage: Damage | null = null;
  let unjudged: string | null = null;
  try {
    // Heads first: a log that is being written to meanwhile has by then at least the entries that they cover.
    const heads = headsOf(disk, folder, progress.remarks);
    sources = sourcesIn(disk, folders);
    if (sources.length === 0 && heads.length === 0)
      return verdict(progress, {
        ...NOTHING,
        exit: COULD_NOT_LOOK,
        absent: true,
        says: `there is no log in ${folder}`,
      });
    look(disk, folders, sources, heads, progress, given);
    damage = copyDamage(disk, sources);
    if (damage === null && given.against != null) {
      const other = await heldAgainst(disk, sources, progress, given.against, {
        witnesses,
        verify: (copy) => verifyLog(disk, copy, { ca: given.ca, witnesses }),
      });
      if ("damage" in other) damage = other.damage;
      else unjudged = other.unjudged;
    }
  } catch (error) {
    if (error instanceof DiskError)
      return verdict(progress, {
        ...NOTHING,
        exit: COULD_NOT_LOOK,
        says: `${error.path} cannot be read (${error.code})`,
      });
    if (!(error instanceof Found)) throw error;
    damage = localised(disk, folders, sources, error.damage);
  }
  const { vouched, unvouched } = await vouchedFor(progress, given.ca);
  const seen = witnesses.map((one) => seenBy(one, progress));
  const rest = { segments: sources.length, vouched, unvouched, damage, witnesses: seen };
  if (damage !== null) return verdict(progress, { ...rest, exit: DAMAGED, says: damageText(damage) });
  if (unjudged !== null) return verdict(progress, { ...rest, exit: COULD_NOT_LOOK, says: unjudged });
  if (progress.missing.length > 0) return verdict(progress, { ...rest, exit: INCOMPLETE, says: missingText(progress) });
  if (vouched === null) return verdict(progress, { ...rest, exit: COULD_NOT_LOOK, says: unvouchedText(unvouched) });
  return verdict(progress, { ...rest, ...answered(progress, seen, given.asOf ?? null) });
}

const NOTHING: Omit<Ending, "exit" | "says"> = {
  segments: 0,
  vouched: null,
  unvouched: null,
  damage: null,
  witnesses: [],
};

function beginning(): Progress {
  return {
    from: 0,
    tree: emptyTree(),
    memory: emptyMemory(null),
    rooted: true,
    remembers: true,
    like: null,
    origin: null,
    bytes: 0,
    oldest: null,
    newest: null,
    asked: 0,
    kinds: new Map(),
    missing: [],
    remarks: [],
    namings: [],
    head: null,
    witnessed: new Map(),
    checked: 0,
    good: 0,
    after: 0,
  };
}

function look(
  disk: Disk,
  folders: readonly string[],
  sources: readonly Source[],
  heads: readonly Head[],
  progress: Progress,
  given: Given,
): void {
  const namings = sources.flatMap((source) => namingOf(disk, source) ?? []);
  const keys = namings.map((one) => (one.kind === "epoch" ? (keyOfEpoch(one)?.key ?? "") : one.key));
  const holding = { heads, keys, sources, witnesses: given.witnesses ?? [] };
  let next = 0;
  const looking: Looking = {
    disk,
    folders,
    sources,
    heads: heads.map(({ at }) => at),
    ownSize: heads.findLast(({ file }) => file !== COSIGNED)?.at.size ?? 0,
    asOf: given.asOf ?? Number.POSITIVE_INFINITY,
    /** Holds the tree of this moment to the heads of its size. */
    hold() {
      for (let head = heads[next]; head !== undefined && head.at.size <= progress.tree.size; head = heads[++next]) {
        if (head.at.size === progress.tree.size && progress.rooted) holdTo(head, progress, holding);
      }
    },
  };
  const [first] = sources;
  const naming = first === undefined ? null : namingOf(disk, first);
  // Entry 0 names the first key; a segment's line that comes first is looked at where it is begun.
  if (naming?.kind === "epoch") progress.namings.push(naming);
  lookAtLines(looking, progress);
  if (progress.oldest !== null && progress.head === null)
    throw new Found({
      kind: "removed",
      index: progress.after,
      to: progress.tree.size - 1,
      file: "checkpoints",
      line: null,
      what: "checkpoint",
      because: "no signed head covers what is here: nobody vouches for a single entry",
    });
  const unsigned = progress.tree.size - (progress.head?.at.size ?? 0);
  if (unsigned > 0 && progress.rooted)
    progress.remarks.push(`${unsigned} entries are newer than the newest head: the agent signs them when it goes on`);
}

/** Who vouches for the log's keys: the CA for each that no older key handed over to. */
async function vouchedFor(
  { namings }: Progress,
  ca: string | null,
): Promise<{ vouched: Vouched | null; unvouched: string | null }> {
  if (ca === null) return { vouched: null, unvouched: "no CA was given" };
  let vouched: Vouched | null = null;
  for (const naming of namings) {
    const checked = await vouch(naming, ca);
    if ("not" in checked) return { vouched: null, unvouched: checked.not };
    vouched = checked;
  }
  return { vouched, unvouched: null };
}

function seenBy(witness: Witness, { witnessed }: Progress): Witnessed {
  const seen = witnessed.get(witness);
  const at = seen === undefined ? null : timeText(seen.seconds * 1000);
  return { name: witness.name, of: witness.of, size: seen?.size ?? 0, at };
}

/**
 * The answer for a log that is whole: how far somebody else vouches for its end. A witness that cosigned before the moment that is asked
 * about does not know what was written between the two: a log cut back to its last cosigned head has nothing more to cover either.
 */
function answered(
  progress: Progress,
  seen: readonly Witnessed[],
  asOf: number | null,
): { exit: VerifyExit; says: string } {
  const covering = seen.filter(
    ({ size, at }) => size >= progress.asked && (asOf === null || (at !== null && (timeOf(at) ?? 0) >= asOf)),
  );
  const covers = (of: Witnessed["of"]): boolean => covering.some((one) => one.of === of);
  const exit = covers("owner") ? WITNESSED : covers("control-plane") ? WITNESSED_BY_CONTROL_PLANE : WHOLE_UNWITNESSED;
  return { exit, says: witnessText(exit, progress, exit === WHOLE_UNWITNESSED ? seen : covering) };
}
