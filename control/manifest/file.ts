import { readFileSync } from "node:fs";
import { keyId, parseNote, signatureLine, verifierKey, verifyNote } from "../../agent/audit/note.ts";
import { MAX_MANIFEST_BYTES } from "../../agent/limits.ts";
import { type Manifest, manifestText, readManifest } from "../../agent/wire/manifest.ts";
import { isNoteKey } from "../../policy/keys.ts";
import type { Signer } from "../signer.ts";
import { Complaint } from "../terminal.ts";

const HINT = "It is what `reeve-control manifest create` wrote, byte for byte.";

export type ManifestFile = {
  readonly manifest: Manifest;
  /** `sha256:…`: what a command names it by. */
  readonly digest: string;
  /** The note, as it lay in the file. */
  readonly note: string;
  /** Names of the keys on its signature lines; nobody has checked them. */
  readonly signers: readonly string[];
};

/** Reads a manifest's file. Throws a Complaint for anything else. */
export function readManifestFile(path: string): ManifestFile {
  const bytes = readFileSync(path);
  const cannot = `read the manifest ${path}`;
  if (bytes.length > MAX_MANIFEST_BYTES)
    throw new Complaint(3, cannot, `it has over ${MAX_MANIFEST_BYTES} bytes`, HINT);
  return readManifestNote(bytes.toString("utf8"), cannot);
}

/** Reads a manifest's note. Throws a Complaint that begins with `cannot` for anything else. */
export function readManifestNote(note: string, cannot: string): ManifestFile {
  const parsed = parseNote(note, MAX_MANIFEST_BYTES);
  if (parsed === null) throw new Complaint(3, cannot, "it is no signed note (c2sp.org/signed-note)", HINT);
  const read = readManifest(parsed.text);
  if ("fault" in read) throw new Complaint(3, cannot, read.fault, HINT);
  return { ...read, note, signers: parsed.signatures.map(({ name }) => name) };
}

/** The manifest as a note, signed under the name of a release signer, such as vendor.example/release-2026. */
export function signManifest(manifest: Manifest, name: string, signer: Pick<Signer, "x" | "sign">): string {
  return signText(manifestText(manifest), name, signer);
}

/** A text of whole lines as a note, signed under a name. */
export function signText(text: string, name: string, signer: Pick<Signer, "x" | "sign">): string {
  if (text.length > MAX_MANIFEST_BYTES)
    throw new Complaint(3, "sign the manifest", `it is over ${MAX_MANIFEST_BYTES} bytes`, "Split the cluster.");
  const publicKey = Buffer.from(signer.x, "base64url");
  return `${text}\n${signatureLine(name, keyId(name, publicKey), signer.sign(Buffer.from(text, "utf8")))}`;
}

/** The line by which a policy names a release signer, under `signers`. */
export function signerKey(name: string, signer: Pick<Signer, "x">): string {
  return verifierKey(name, Buffer.from(signer.x, "base64url"));
}

/** Which of these verifier keys (`name+id+key`) signed it. Throws a Complaint for what is no key. */
export function signedBy(note: string, keys: readonly string[]): string[] {
  return keys.filter((key) => {
    const [, name, base64] = /^([^+]+)\+[0-9a-f]{8}\+(.+)$/.exec(key) ?? [];
    if (!isNoteKey(key) || name === undefined || base64 === undefined)
      throw new Complaint(
        2,
        "check the signature",
        `${key} is no verifier key`,
        "Write NAME+ID+KEY, as the policy's signers have it.",
      );
    return verifyNote(note, name, Buffer.from(base64, "base64").subarray(1), MAX_MANIFEST_BYTES) !== null;
  });
}
