import { MAX_PROOF_HASHES } from "../../agent/audit/consistency.ts";

/** What `add-checkpoint` is asked (c2sp.org/tlog-witness): the size that the log says is known here, a proof from there, a checkpoint. */
export type Submission = { readonly old: number; readonly proof: readonly Buffer[]; readonly note: string };

const HASH_BYTES = 32;

/** Reads a request's body; null for what is not of its form. */
export function parseSubmission(body: string): Submission | null {
  const gap = body.indexOf("\n\n");
  if (gap < 0) return null;
  const [first = "", ...lines] = body.slice(0, gap).split("\n");
  const [, digits] = /^old (0|[1-9]\d{0,15})$/.exec(first) ?? [];
  const old = Number(digits);
  if (digits === undefined || !Number.isSafeInteger(old) || lines.length > MAX_PROOF_HASHES) return null;
  const proof = lines.map((line) => Buffer.from(line, "base64"));
  const wellFormed = proof.every((hash, at) => hash.length === HASH_BYTES && hash.toString("base64") === lines[at]);
  return wellFormed ? { old, proof, note: body.slice(gap + 2) } : null;
}
