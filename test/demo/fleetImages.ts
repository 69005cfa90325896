import { createHash } from "node:crypto";
import { appendFileSync, chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { parametersText, SIGNER, sbomText } from "./fleetFiles.ts";

/** An image is a program here: its digest names it, and every customer's artifacts hold it. */
export type Image = {
  readonly digest: string;
  readonly program: string;
  readonly version: string;
  readonly libssl: string;
};

/** A program of Debian's with a few bytes behind it: another digest, the same behaviour. `scratch`: where the folder artifacts is. */
export function imageOf(scratch: string, from: string, version: string, libssl: string): Image {
  const made = `${scratch}/made`;
  copyFileSync(from, made);
  appendFileSync(made, `\nimage ${version}\n`);
  const hex = createHash("sha256").update(readFileSync(made)).digest("hex");
  const program = `${scratch}/artifacts/${hex}`;
  copyFileSync(made, program);
  chmodSync(program, 0o755);
  rmSync(made);
  writeFileSync(`${scratch}/sbom-${version}.json`, sbomText(libssl));
  return { digest: `sha256:${hex}`, program, version, libssl };
}

/** The file of a cluster's manifest, and the words after `reeve-control manifest` that make it: those of others are copies of `first`'s. */
export function manifestOf(
  scratch: string,
  keys: string,
  of: Image,
  cluster: string,
  first: string,
): { readonly file: string; readonly words: readonly string[] } {
  const parameters = `${scratch}/${cluster}-${of.version}.yaml`;
  writeFileSync(parameters, parametersText(cluster, of.digest));
  const file = `${scratch}/${cluster}-${of.version}.manifest`;
  const signed = ["--parameters", parameters, "--as", SIGNER, "--keys", keys, "--out", file];
  const create = ["--image", `broker=${scratch}/sbom-${of.version}.json`, "--digest", `broker=${of.digest}`];
  const words =
    cluster === first
      ? ["create", ...create, "--version", of.version, "--says", `release ${of.version}`, ...signed]
      : ["copy", `${scratch}/${first}-${of.version}.manifest`, ...signed];
  return { file, words };
}

/** The digest of the program that a process runs, as the kernel says it; null once it is gone. */
export function imageRunBy(pid: number): string | null {
  try {
    return `sha256:${createHash("sha256")
      .update(readFileSync(`/proc/${pid}/exe`))
      .digest("hex")}`;
  } catch {
    // It has just ended.
    return null;
  }
}
