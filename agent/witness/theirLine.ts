import { COSIGNATURE, type Cosigner, cosignedAt } from "../audit/cosignature.ts";
import { keyId, parseNote, signatureLine } from "../audit/note.ts";
import { ownSignature } from "./submission.ts";

/**
 * What is kept of a cosigner's answer: the head `of` with our own signature and, below it, the one line by this cosigner's key, verified.
 * `at`: seconds since 1970. Whatever else `lines` holds, also under our own name, comes nowhere. Null when there is no such line.
 */
export function withTheirLine(
  of: string,
  lines: string,
  by: Cosigner,
): { readonly note: string; readonly at: number } | null {
  const id = keyId(by.name, by.publicKey, COSIGNATURE);
  const theirs = parseNote(`${of}${lines}`)?.signatures.findLast((one) => one.name === by.name && one.id.equals(id));
  if (theirs === undefined) return null;
  const note = `${ownSignature(of)}${signatureLine(theirs.name, theirs.id, theirs.signature)}`;
  const at = cosignedAt(note, by);
  return at === null ? null : { note, at };
}
