import type { Command } from "commander";
import { checksumOf } from "../../agent/wire/manifest.ts";
import { readInventory } from "../inventories.ts";
import { compareRoot } from "../manifest/compare.ts";
import { difference } from "../manifest/diff.ts";
import { readManifestFile, signedBy } from "../manifest/file.ts";
import { imagesOf, manifestOf } from "../manifest/inventory.ts";
import { holdsTo, matches } from "../manifest/matches.ts";
import { differenceText, manifestText, matchedText, unreadText, verifiedText } from "../manifest/text.ts";
import { newestRevision } from "../revisions/read.ts";
import { whenText } from "../revisions/text.ts";
import { clusterName } from "../statement.ts";
import type { Sql } from "../store.ts";
import { Complaint } from "../terminal.ts";
import { type Pair, pair } from "./pairs.ts";
import { out, withStore } from "./state.ts";

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

type VerifyFlags = {
  signerVerifier: string[];
  root: Pair[];
  files?: string;
  cluster?: string;
  dir?: string;
  json?: boolean;
};

function addVerify(manifest: Command): void {
  manifest
    .command("verify")
    .description(
      "Whether a manifest is signed by one of these signers, and whether root file systems are what it says; or, with --cluster, whether the cluster is what its manifest says, by what its agent shares. Exit 1 when not, 8 when that is not known.",
    )
    .argument("[file]", "a manifest; without it --cluster")
    .option("--signer-verifier <key>", "a release signer's verifier key, NAME+ID+KEY; may be given again", gather, [])
    .option(
      "--root <named>",
      "IMAGE=FOLDER, a root file system that should be this image: its libraries, and its files where the manifest holds their list; may be given again",
      pair,
      [],
    )
    .option("--files <folder>", "with the IMAGE.mtree that `create --files` kept: names each file that differs")
    .option("--cluster <name>", "this cluster, by the inventory that its policy shares")
    .option("--dir <folder>", "the control plane's folder, with --cluster")
    .option("--json", "print JSON")
    .action(async (file: string | undefined, options: VerifyFlags) => {
      if (file === undefined) return verifyCluster(options);
      if (options.cluster !== undefined)
        throw new Complaint(2, "verify", "a file and a cluster are two questions", "Give one of them.");
      verifyFile(file, options);
    });
}

function verifyFile(file: string, options: VerifyFlags): void {
  if (options.signerVerifier.length === 0)
    throw new Complaint(
      2,
      "verify",
      "no signer is named",
      "Give --signer-verifier: the line of `reeve-control manifest signer`, from somewhere else than the file.",
    );
  const read = readManifestFile(file);
  const signed = signedBy(read.note, options.signerVerifier);
  const roots = options.root.map(([image, folder]) =>
    compareRoot(read.manifest.content, image, folder, options.files ?? null),
  );
  for (const { image, unread } of roots) process.stderr.write(unreadText(image, unread));
  const holds = signed.length > 0 && roots.every(({ same }) => same);
  out(
    options.json
      ? `${JSON.stringify({ holds, digest: read.digest, signed_by: signed, roots })}\n`
      : verifiedText(signed, roots),
  );
  if (!holds) process.exitCode = 1;
}

async function verifyCluster({ cluster: name, dir, json }: VerifyFlags): Promise<void> {
  if (name === undefined || dir === undefined)
    throw new Complaint(2, "verify", "neither a file nor a cluster is named", "Give a file, or --cluster and --dir.");
  const cluster = clusterName(name);
  const found = await withStore(dir, (store) => store.read((sql) => compareCluster(sql, cluster)));
  const { digest, at, groups } = found;
  const holds = holdsTo(groups);
  out(json ? `${JSON.stringify({ holds, cluster, digest, at, groups })}\n` : matchedText(cluster, digest, at, groups));
  if (!holds) process.exitCode = 1;
}

async function compareCluster(sql: Sql, cluster: string) {
  const cannot = `verify ${cluster}`;
  const digest = (await newestRevision(sql, cluster))?.digest ?? null;
  const kept = digest === null ? null : await manifestOf(sql, digest);
  if (kept === null)
    throw new Complaint(8, cannot, "no manifest of it is kept here", "See `reeve-control manifest import`.");
  const inventory = await readInventory(sql, cluster);
  if (inventory === null)
    throw new Complaint(
      8,
      cannot,
      "it shares no inventory",
      "The customer's policy says so under `share`: manifest. Its agent then says what the groups of deploy rules run.",
    );
  const images = await imagesOf(sql, cluster);
  return {
    digest: kept.digest,
    at: whenText(inventory.at),
    groups: matches(kept.manifest, inventory.groups, (location) => images.get(location) ?? null),
  };
}

function gather(text: string, before: string[]): string[] {
  return [...before, text];
}
