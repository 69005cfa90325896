import { cosign, cosignerText, parseCosigner } from "../../agent/audit/cosignature.ts";
import { ed25519Private, ed25519Public, parseNote } from "../../agent/audit/note.ts";
import type { Witness } from "../../agent/audit/verify/verdict.ts";

/** Witnesses as tests need them: a key, and a line over any head, at some second since 1970. */
const SEEN_AT = 1_795_000_000;

function witness(name: string, of: Witness["of"], seed: number) {
  const privateKey = ed25519Private(Buffer.alloc(32, seed));
  const text = cosignerText({ name, publicKey: ed25519Public(privateKey) });
  const cosigner = parseCosigner(text);
  if (cosigner === null) throw new Error(text);
  return {
    ...cosigner,
    of,
    text,
    line: (note: string, seconds = SEEN_AT) => cosign(parseNote(note)?.text ?? "", name, privateKey, seconds),
  };
}
export const OWNER = witness("witness.customer.example", "owner", 1);
export const CONTROL = witness("control.vendor.example", "control-plane", 2);
