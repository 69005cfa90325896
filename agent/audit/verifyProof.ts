import { cosignedAt } from "./cosignature.ts";
import type { Entry } from "./entry.ts";
import { timeText } from "./time.ts";
import { parseTlogProof, provenBy } from "./tlogProof.ts";
import {
  COULD_NOT_LOOK,
  DAMAGED,
  type VerifyExit,
  WHOLE_UNWITNESSED,
  WITNESSED,
  WITNESSED_BY_CONTROL_PLANE,
  type Witness,
  type Witnessed,
} from "./verify/verdict.ts";
import { type Vouched, vouch } from "./vouch.ts";

export type ProofVerdict = {
  readonly exit: VerifyExit;
  readonly says: string;
  readonly origin: string | null;
  readonly index: number | null;
  /** Of the head that the proof is under. */
  readonly size: number | null;
  readonly entry: Entry | null;
  readonly vouched: Vouched | null;
  readonly witnesses: readonly Witnessed[];
};

const NOTHING = { origin: null, index: null, size: null, entry: null, vouched: null, witnesses: [] };

/** Checks a proof by itself: no log, no network, only the CA and the witnesses' keys that are given. */
export async function verifyProof(
  text: string,
  { ca, witnesses }: { readonly ca: string | null; readonly witnesses: readonly Witness[] },
): Promise<ProofVerdict> {
  const proof = parseTlogProof(text);
  if (proof === null) return { ...NOTHING, exit: COULD_NOT_LOOK, says: "this is no proof that `audit prove` wrote" };
  const proven = provenBy(proof);
  if ("fault" in proven)
    return { ...NOTHING, index: proof.index, exit: DAMAGED, says: `proves nothing: ${proven.fault}` };
  const { entry, at, naming, note } = proven;
  const checked = ca === null ? { not: "no CA was given" } : await vouch(naming, ca);
  const vouched = "by" in checked ? checked : null;
  const seen = witnesses.map((one) => seenBy(one, note, at.size));
  const rest = { origin: at.origin, index: proof.index, size: at.size, entry, vouched, witnesses: seen };
  if ("not" in checked)
    return { ...rest, exit: COULD_NOT_LOOK, says: `cannot tell whose log this is out of: ${checked.not}` };
  const by = (of: Witnessed["of"]): boolean => seen.some((one) => one.of === of && one.size > 0);
  const exit = by("owner") ? WITNESSED : by("control-plane") ? WITNESSED_BY_CONTROL_PLANE : WHOLE_UNWITNESSED;
  return { ...rest, exit, says: `${says[exit]}: entry ${proof.index} stands in a log of ${at.size} entries` };
}

const says = {
  [WITNESSED]: "proven, and witnessed beyond the control plane",
  [WITNESSED_BY_CONTROL_PLANE]: "proven, and witnessed by the control plane only",
  [WHOLE_UNWITNESSED]: "proven by the log's own key, and no given witness has seen that head",
} as const;

function seenBy(witness: Witness, note: string, size: number): Witnessed {
  const seconds = cosignedAt(note, witness);
  const { name, of } = witness;
  return seconds === null ? { name, of, size: 0, at: null } : { name, of, size, at: timeText(seconds * 1000) };
}
