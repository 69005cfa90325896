import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { checksumOf } from "../../agent/wire/manifest.ts";
import { compareRoot } from "../manifest/compare.ts";
import { difference } from "../manifest/diff.ts";
import { readManifestFile, signedBy } from "../manifest/file.ts";
import { differenceText, manifestText, verifiedText } from "../manifest/text.ts";
import { type Pair, pair } from "./pairs.ts";
import { out } from "./state.ts";

/** What is asked of manifests as files: no control plane is needed. */
export function addRead(manifest: Command): void {
  addShow(manifest);
  addDiff(manifest);
  addVerify(manifest);
}

function addShow(manifest: Command): void {
  manifest
    .command("show")
    .description("A manifest, for a person.")
    .argument("<file>", "a manifest")
    .option("--packages", "every package")
    .option("--json", "print its document, with digest and checksum")
    .action((file: string, options: { packages?: boolean; json?: boolean }) => {
      const read = readManifestFile(file);
      const { manifest: of, digest, signers } = read;
      const shown = { digest, checksum: checksumOf(of.content), signers, ...of };
      out(options.json ? `${JSON.stringify(shown)}\n` : manifestText(read, options.packages ?? false));
    });
}

function addDiff(manifest: Command): void {
  manifest
    .command("diff")
    .description(
      "What differs between two manifests: libraries with their versions, parameters. Exit 1 when the contents differ.",
    )
    .argument("<a>", "a manifest")
    .argument("<b>", "another")
    .option("--json", "print JSON")
    .action((a: string, b: string, options: { json?: boolean }) => {
      const found = difference(readManifestFile(a).manifest, readManifestFile(b).manifest);
      out(options.json ? `${JSON.stringify(found)}\n` : differenceText(found));
      if (!found.same) process.exitCode = 1;
    });
}

type VerifyFlags = { signerVerifier: string[]; root: Pair[]; files?: string; json?: boolean };

function addVerify(manifest: Command): void {
  manifest
    .command("verify")
    .description(
      "Whether a manifest is signed by one of these signers, and whether root file systems are what it says. Exit 1 when not.",
    )
    .argument("<file>", "a manifest")
    .requiredOption(
      "--signer-verifier <key>",
      "a release signer's verifier key, NAME+ID+KEY; may be given again",
      gather,
      [],
    )
    .option(
      "--root <named>",
      "IMAGE=FOLDER, a root file system that should be this image; may be given again",
      pair,
      [],
    )
    .option("--files <folder>", "with the IMAGE.mtree that `create --files` kept: names each file that differs")
    .option("--json", "print JSON")
    .action((file: string, options: VerifyFlags) => {
      const read = readManifestFile(file);
      const signed = signedBy(read.note, options.signerVerifier);
      const roots = options.root.map(([image, folder]) =>
        compareRoot(read.manifest.content, image, folder, listFile(options.files, image)),
      );
      const holds = signed.length > 0 && roots.every(({ same }) => same);
      out(
        options.json
          ? `${JSON.stringify({ holds, digest: read.digest, signed_by: signed, roots })}\n`
          : verifiedText(signed, roots),
      );
      if (!holds) process.exitCode = 1;
    });
}

function listFile(folder: string | undefined, image: string): string | null {
  return folder === undefined ? null : readFileSync(join(folder, `${image}.mtree`), "utf8");
}

function gather(text: string, before: string[]): string[] {
  return [...before, text];
}
