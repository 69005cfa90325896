import { MAX_PROOF_BYTES } from "../audit/tlogProof.ts";
import type { Witness } from "../audit/verify/verdict.ts";
import { type ProofVerdict, verifyProof } from "../audit/verifyProof.ts";
import { type Disk, DiskError } from "../host/host.ts";
import { printable } from "../render.ts";
import { witnessLine } from "./verdictLines.ts";

/** `audit verify --proof FILE`. Returns the exit code. */
export async function verifyProofFile(
  disk: Disk,
  path: string,
  given: { readonly ca: string | null; readonly witnesses: readonly Witness[] },
  json: boolean,
  stdout: (text: string) => void,
): Promise<number> {
  const verdict = await verifyProof(textOf(disk, path), given);
  if (json) stdout(`${JSON.stringify(verdict)}\n`);
  else for (const line of linesOf(verdict)) stdout(`${printable(line)}\n`);
  return verdict.exit;
}

/** What cannot be read is no proof. */
function textOf(disk: Disk, path: string): string {
  try {
    return Buffer.from(disk.read(path, MAX_PROOF_BYTES).bytes).toString("utf8");
  } catch (error) {
    if (error instanceof DiskError) return "";
    throw error;
  }
}

function linesOf({ origin, index, size, entry, vouched, witnesses, says }: ProofVerdict): string[] {
  if (entry === null) return [`verdict    ${says}`];
  return [
    `log        ${origin}`,
    `entry      ${index} of ${size}: ${entry.kind}, ${entry.time}`,
    `key        vouched for by ${vouched === null ? "nobody" : `${vouched.by}, SHA-256 ${vouched.sha256}`}`,
    ...(witnesses.length === 0 ? ["witnesses  none was given"] : witnesses.map(witnessLine)),
    `verdict    ${says}`,
  ];
}
