import { cosignedAt, cosignerText, parseCosigner } from "../../agent/audit/cosignature.ts";
import { readLine } from "../../agent/audit/line.ts";
import { checkpointText, parseCheckpoint, parseNote, signatureLine, verifyNote } from "../../agent/audit/note.ts";
import { parseTlogProof, provenBy, tlogProofText } from "../../agent/audit/tlogProof.ts";
import { canonical, type Json, parseCanonical } from "../../agent/wire/canonical.ts";
import { openHead } from "../../agent/wire/head.ts";
import { jsonOf, mutateBytes, mutateJson } from "./mutate.ts";
import { bytesOf, codeIn, must, type Parser, textOf } from "./parser.ts";
import type { Random } from "./random.ts";
import { SAMPLES } from "./samples.ts";

/** The log's formats: entries, notes and checkpoints, proofs, the head in the owner's bucket, and the JSON that all of them are. */
const AGENT = "spiffe://vendor.example/cluster/prod-eu-1/agent";
const KEY = Buffer.alloc(32, 3);
const NOTES = SAMPLES.checkpoints
  .split(/\n\n(?=spiffe)/)
  .map((note) => note.trimEnd())
  .filter((note) => note !== "")
  .map((note) => `${note}\n`);

function line(input: Uint8Array): string {
  const text = textOf(input);
  const read = readLine(text);
  if (!("entry" in read)) return codeIn(read.fault, ["too-long", "not-json", "not-canonical", "schema"]);
  must(canonical(read.entry as unknown as Json) === text, "an entry that is written otherwise than it was read");
  return "taken";
}

function json(input: Uint8Array): string {
  const text = textOf(input);
  const read = parseCanonical(text, 16);
  if ("fault" in read) return codeIn(read.fault, ["parse.not-canonical", "parse.too-deep", "parse.number"]);
  must(canonical(read.value) === text, "a value that is written otherwise than it was read");
  must(Bun.deepEquals(JSON.parse(text), read.value), "a value that JSON.parse reads otherwise");
  return "taken";
}

function checkpoint(input: Uint8Array): string {
  const text = textOf(input);
  const note = parseNote(text);
  const read = parseCheckpoint(text);
  verifyNote(text, `${AGENT}/epoch/1`, KEY);
  cosignedAt(text, { name: "w.example", publicKey: KEY });
  if (note === null) {
    must(read === null, "a checkpoint that is no note");
    return "no note";
  }
  const lines = note.signatures.map(({ name, id, signature }) => signatureLine(name, id, signature)).join("");
  must(`${note.text}\n${lines}` === text, "a note that is written otherwise than it was read");
  if (read === null) return "note";
  must(checkpointText(read) === note.text, "a checkpoint that is written otherwise than it was read");
  return "taken";
}

function proof(input: Uint8Array): string {
  const text = textOf(input);
  const read = parseTlogProof(text);
  if (read === null) return "no proof";
  must(tlogProofText(read) === text, "a proof that is written otherwise than it was read");
  const proven = provenBy(read);
  return "fault" in proven ? "proves nothing" : "taken";
}

function head(input: Uint8Array): string {
  const opened = openHead(textOf(input), { agentId: AGENT, cluster: "prod-eu-1", roots: [SAMPLES.root] });
  return "bad" in opened ? "refused" : "taken";
}

function cosigner(input: Uint8Array): string {
  const read = parseCosigner(textOf(input));
  if (read === null) return "refused";
  must(cosignerText(read) === textOf(input), "a cosigner that is written otherwise than it was read");
  return "taken";
}

/** Another value in canonical JSON, so that the schema is reached. */
function asJson(random: Random, sample: Uint8Array): Uint8Array {
  const before = random.chance(3) ? undefined : jsonOf(textOf(sample));
  if (before === undefined) return mutateBytes(random, sample, [], 70_000);
  try {
    return bytesOf(canonical(mutateJson(random, before) as Json));
  } catch (error) {
    // What was drawn has no canonical form.
    if (error instanceof RangeError || error instanceof TypeError) return mutateBytes(random, sample, [], 70_000);
    throw error;
  }
}

const LINES = SAMPLES.lines.map(bytesOf);
const COSIGNER = cosignerText({ name: "w.example", publicKey: KEY });
export const LOGGED: readonly Parser[] = [
  { name: "entry", maxBytes: 70_000, corpus: LINES, mutate: asJson, hold: line },
  { name: "json", maxBytes: 70_000, corpus: LINES, mutate: asJson, hold: json },
  { name: "checkpoint", maxBytes: 70_000, corpus: NOTES.map(bytesOf), hold: checkpoint },
  { name: "cosigner", maxBytes: 1000, corpus: [bytesOf(COSIGNER)], hold: cosigner },
  { name: "proof-of-entry", maxBytes: 530_000, corpus: [bytesOf(SAMPLES.proof)], hold: proof },
  { name: "head", maxBytes: 100_000, corpus: [bytesOf(SAMPLES.head)], hold: head },
];
