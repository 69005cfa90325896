import type { ManifestFacts } from "../../policy/asked.ts";
import { noteKeyOf } from "../../policy/keys.ts";
import type { Policy } from "../../policy/policy.ts";
import type { UnfitArtifact } from "../../providers/provider.ts";
import { parseNote, verifyNote } from "../audit/note.ts";
import { MAX_MANIFEST_BYTES } from "../limits.ts";
import { digestOf } from "../wire/envelope.ts";
import { checksumOf, type Manifest, readManifest } from "../wire/manifest.ts";
import { FROM_CREATE, type ManifestSource, type Obtained, unfit } from "./source.ts";

/** A manifest whose digest is the one that a command names. Who signed it is judged by the policy of the moment. */
export type NamedManifest = { readonly digest: string; readonly note: string; readonly manifest: Manifest };

/** Obtains what a command names. Its bytes are held against the digest before anything in them is looked at. */
export async function obtainManifest(
  source: ManifestSource,
  digest: string,
  signal: AbortSignal,
): Promise<NamedManifest | Exclude<Obtained, { note: string }>> {
  const obtained = await source(digest.slice("sha256:".length), signal);
  return "note" in obtained ? readNamed(obtained.note, digest) : obtained;
}

function readNamed(note: string, digest: string): NamedManifest | UnfitArtifact {
  const parsed = parseNote(note, MAX_MANIFEST_BYTES);
  if (parsed === null) return unfit("malformed", "the manifest is no signed note (c2sp.org/signed-note)", FROM_CREATE);
  const found = digestOf(parsed.text.slice(0, -1));
  if (found !== digest)
    return unfit("digest", `the manifest that is there has the digest ${found}`, "Send the digest of what is there.");
  const read = readManifest(parsed.text);
  return "fault" in read
    ? unfit("malformed", `the manifest is not of its form (${read.fault.slice(0, 160)})`, FROM_CREATE)
    : { digest, note, manifest: read.manifest };
}

/** Ids of these signers (the policy's) whose signatures over the manifest hold. A line that is wrong is no signature of that key. */
function signersOf({ note }: NamedManifest, signers: Policy["signers"]): string[] {
  return Object.entries(signers).flatMap(([id, text]) => {
    const key = noteKeyOf(text);
    if (key === null) throw new Error("the policy was not checked");
    const bytes = Buffer.from(key, "base64").subarray(1);
    return verifyNote(note, text.slice(0, text.indexOf("+")), bytes, MAX_MANIFEST_BYTES) === null ? [] : [id];
  });
}

/** What the policy judges. */
export function factsOf(named: NamedManifest, group: string, policy: Policy): ManifestFacts {
  const { digest, manifest } = named;
  const { content, parameters } = manifest;
  return {
    digest,
    signedBy: signersOf(named, policy.signers),
    cluster: parameters.cluster,
    place: parameters.place,
    policy: parameters.policy,
    version: content.version,
    group: imageFor(manifest, group),
  };
}

/** Null when the manifest does not say what the group runs, or not where that lies here. */
export function imageFor({ content, parameters }: Manifest, group: string): ManifestFacts["group"] {
  const named = Object.hasOwn(parameters.groups, group) ? parameters.groups[group]?.image : undefined;
  const image = named !== undefined && Object.hasOwn(parameters.images, named) ? parameters.images[named] : undefined;
  const digest = content.images.find(({ name }) => name === named)?.digest;
  return image === undefined || digest === undefined ? null : { image, digest };
}

/** The cluster's checksum that it stands for. */
export function checksumOfNamed({ manifest }: NamedManifest): string {
  return checksumOf(manifest.content);
}
