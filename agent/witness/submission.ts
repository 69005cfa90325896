import { parseNote, signatureLine } from "../audit/note.ts";

/** What came back from a witness: a status with its body as text, or why nothing came. */
export type WitnessSaid =
  | { readonly status: number; readonly type: string; readonly text: string }
  | { readonly unreachable: string };

/** What an answer of `add-checkpoint` means (c2sp.org/tlog-witness). */
export type Meaning =
  | { readonly cosigned: string }
  /** Its record of this log has so many entries. */
  | { readonly knows: number }
  /** It does not know this log, or not the key that signed. */
  | { readonly unknown: 403 | 404 }
  /** What it was shown does not go on from what it has cosigned. */
  | { readonly inconsistent: true }
  | { readonly failed: string };

/** The body of `add-checkpoint`: the size that the witness knows, the proof from there, the head with the log's own signature alone. */
export function submissionText(old: number, proof: readonly Buffer[], head: string): string {
  const lines = proof.map((hash) => `${hash.toString("base64")}\n`).join("");
  return `old ${old}\n${lines}\n${ownSignature(head)}`;
}

/** A head of ours without others' lines: they are not for this witness, and it may bound what it reads. */
export function ownSignature(head: string): string {
  const note = parseNote(head);
  const origin = note?.text.split("\n")[0];
  const own = note?.signatures.filter(({ name }) => name === origin) ?? [];
  if (note === null || own.length === 0) throw new Error("a head of ours without our signature");
  return `${note.text}\n${own.map(({ name, id, signature }) => signatureLine(name, id, signature)).join("")}`;
}

export function meaningOf(said: WitnessSaid): Meaning {
  if ("unreachable" in said) return { failed: said.unreachable };
  const { status, type, text } = said;
  if (status === 200) return { cosigned: text };
  if (status === 403 || status === 404) return { unknown: status };
  if (status === 422) return { inconsistent: true };
  const [, digits] = /^(0|[1-9]\d{0,15})\n?$/.exec(text) ?? [];
  const size = Number(digits);
  if (status === 409 && type === "text/x.tlog.size" && digits !== undefined && Number.isSafeInteger(size))
    return { knows: size };
  return { failed: `answer: status ${status}` };
}
