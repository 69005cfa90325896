import { Digest } from "../../agent/wire/names.ts";
import { Complaint } from "../terminal.ts";
import { type ManifestFile, readManifestFile } from "./file.ts";

/** What `--manifest` names: the digest alone, or a manifest's file. Throws a Complaint for a file that is no manifest. */
export function namedManifest(text: string): { readonly digest: string; readonly file: ManifestFile | null } {
  if (Digest.safeParse(text).success) return { digest: text, file: null };
  const cannot = `read the manifest ${text}`;
  if (/^sha256:/.test(text))
    throw new Complaint(
      2,
      cannot,
      "it is no digest",
      "Write sha256: and 64 hex digits in lower case, or a file's path.",
    );
  try {
    const file = readManifestFile(text);
    return { digest: file.digest, file };
  } catch (error) {
    if (error instanceof Complaint) throw error;
    const code = String((error as { code?: unknown }).code);
    throw new Complaint(4, cannot, `it cannot be read (${code})`, "Name a manifest's file, or its digest: sha256:….");
  }
}

/** What no agent of the cluster would deploy to the group is not even signed. Throws a Complaint. */
export function checkDeployable({ manifest }: ManifestFile, cluster: string, group: string): void {
  const cannot = `deploy it to ${group} of ${cluster}`;
  const { cluster: own, groups, images } = manifest.parameters;
  if (own !== cluster)
    throw new Complaint(
      1,
      cannot,
      `the manifest is of the cluster ${own}`,
      "`manifest copy` makes this cluster's own.",
    );
  const image = Object.hasOwn(groups, group) ? groups[group]?.image : undefined;
  if (image === undefined)
    throw new Complaint(
      1,
      cannot,
      `the manifest does not name the group; it names ${Object.keys(groups).join(", ") || "none"}`,
      "Add it under groups in the manifest's parameters.",
    );
  if (!Object.hasOwn(images, image))
    throw new Complaint(
      1,
      cannot,
      `the manifest does not say where the image ${image} lies there`,
      "Add it under images in the manifest's parameters.",
    );
}

/** A line for the operator, before anything is signed. */
export function deployedText({ manifest, digest, signers }: ManifestFile): string {
  const { version } = manifest.content;
  return `manifest ${digest}, version ${version} (${manifest.says}), of ${manifest.parameters.cluster}, signed by ${signers.join(", ")}`;
}
