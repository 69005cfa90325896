import type { Cosigner } from "../cosignature.ts";
import type { Memory } from "../memory.ts";
import { timeText } from "../time.ts";
import { rootOfTree, type Tree } from "../tree.ts";
import type { Naming, Vouched } from "../vouch.ts";
import type { Head } from "./heads.ts";

/** Exit codes of `audit verify` (NAMES). */
export const WITNESSED = 0;
export const WITNESSED_BY_CONTROL_PLANE = 10;
export const WHOLE_UNWITNESSED = 11;
export const INCOMPLETE = 12;
export const DAMAGED = 13;
export const COULD_NOT_LOOK = 14;
export type VerifyExit = 0 | 10 | 11 | 12 | 13 | 14;

/**
 * What was done to a log. edited: bytes of a line or note were changed. removed, inserted, reordered: lines. truncated: the end is gone;
 * torn: it ends inside a line. resigned: a head is signed by a key that may not sign it. rolled-back: somebody knows a newer head.
 * forked: two histories were signed. contradicting: signed as it stands, and makes no sense after the entries before it.
 */
export type DamageKind =
  | "edited"
  | "removed"
  | "inserted"
  | "reordered"
  | "truncated"
  | "torn"
  | "resigned"
  | "rolled-back"
  | "forked"
  | "contradicting";

export type Damage = {
  readonly kind: DamageKind;
  /** The first bad entry's index, or the size that a bad head claims. */
  readonly index: number;
  /** The last index that the damage may be at, where it is not known more closely; else `index`. */
  readonly to: number;
  /** The file, in the log's folder, and its line from 1 on; null for a head. */
  readonly file: string;
  readonly line: number | null;
  /** One stable word: how it showed. */
  readonly what: string;
  readonly because: string;
};

export type Witnessed = {
  readonly name: string;
  readonly of: "owner" | "control-plane";
  /** Entries that its newest cosigned head covers, and when it said so; 0 and null where there is none of its. */
  readonly size: number;
  readonly at: string | null;
};

export type Verdict = {
  readonly exit: VerifyExit;
  /** The answer in a sentence. */
  readonly says: string;
  /** There is no log at all: no segment and no head. A log that is damaged or cannot be read is not absent. */
  readonly absent: boolean;
  readonly origin: string | null;
  /** Entries that were looked at, from `from` to before `size`. */
  readonly from: number;
  readonly size: number;
  /** Root over all entries, base64; null where entries are missing and nothing says what they come to. */
  readonly root: string | null;
  readonly bytes: number;
  readonly segments: number;
  readonly oldest: string | null;
  readonly newest: string | null;
  readonly kinds: Readonly<Record<string, number>>;
  readonly checkpoints: {
    readonly checked: number;
    readonly newest: { size: number; time: string } | null;
    /** The newest head that holds, as a note. */
    readonly note: string | null;
  };
  /** The newest segment's log key, base64, and the CA that vouches for the log's keys; null when none was given or none does. */
  readonly key: string | null;
  readonly vouched: Vouched | null;
  readonly witnesses: readonly Witnessed[];
  /** Entries up to the moment that was asked about: what a witness must cover. */
  readonly asked: number;
  /** Commands whose intent has no outcome yet. */
  readonly open: readonly { command: string; intent: number }[];
  readonly damage: Damage | null;
  /** Ranges of indexes that are not there. */
  readonly missing: readonly { from: number; to: number }[];
  /** Why the keys could not be held to a CA, or null. */
  readonly unvouched: string | null;
  /** What is no damage and worth knowing. */
  readonly remarks: readonly string[];
};

/** Who is asked for as a witness: the owner's choice, or the control plane's own. */
export type Witness = Cosigner & { readonly of: Witnessed["of"] };

/** What was looked at so far. */
export type Progress = {
  from: number;
  tree: Tree;
  memory: Memory;
  /** False after a gap that nothing bridges: the tree is not known. */
  rooted: boolean;
  /** False where no carry file says what came before: the tree may be known by the segment's first line all the same. */
  remembers: boolean;
  /** Epoch and cluster that every entry must be of. */
  like: { readonly epoch: number; readonly cluster: string } | null;
  origin: string | null;
  bytes: number;
  oldest: string | null;
  newest: string | null;
  /** Entries up to the moment that was asked about. */
  asked: number;
  kinds: Map<string, number>;
  missing: { from: number; to: number }[];
  remarks: string[];
  /** Lines that name a key which nothing before them vouches for. */
  namings: Naming[];
  /** The newest head that holds. */
  head: Head | null;
  /** When each witness cosigned, and how many entries: the newest. Seconds since 1970. */
  witnessed: Map<Witness, { readonly size: number; readonly seconds: number }>;
  checked: number;
  /** The newest size at which a head was held. */
  good: number;
  /** Where the newest gap ends: nobody vouches for the key that may sign a head of that size, or for what it covers. */
  after: number;
};

export class Found extends Error {
  constructor(readonly damage: Damage) {
    super(damage.because);
  }
}

export type Ending = {
  readonly exit: VerifyExit;
  readonly says: string;
  readonly absent?: true;
  readonly segments: number;
  readonly vouched: Vouched | null;
  readonly unvouched: string | null;
  readonly damage: Damage | null;
  readonly witnesses: readonly Witnessed[];
};

export function verdict(progress: Progress, end: Ending): Verdict {
  const { tree, memory, rooted } = progress;
  const { head } = progress;
  return {
    exit: end.exit,
    says: end.says,
    absent: end.absent === true,
    origin: progress.origin,
    from: progress.from,
    size: tree.size,
    root: rooted ? rootOfTree(tree).toString("base64") : null,
    bytes: progress.bytes,
    segments: end.segments,
    oldest: progress.oldest,
    newest: progress.newest,
    kinds: Object.fromEntries([...progress.kinds].sort(([one], [other]) => (one < other ? -1 : 1))),
    checkpoints: {
      checked: progress.checked,
      newest: head === null ? null : { size: head.at.size, time: timeText(head.at.time) },
      note: head?.note ?? null,
    },
    key: memory.logKey?.key ?? null,
    vouched: end.vouched,
    witnesses: end.witnesses,
    asked: progress.asked,
    open: [...memory.open.values()].map(({ command, index }) => ({ command, intent: index })),
    damage: end.damage,
    missing: progress.missing,
    unvouched: end.unvouched,
    remarks: progress.remarks,
  };
}
