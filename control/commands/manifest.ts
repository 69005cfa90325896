import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { checksumOf, type Manifest } from "../../agent/wire/manifest.ts";
import { VERSION, VERSION_FORM } from "../../policy/version.ts";
import { agentOf, type Found, type ImageSource, makeManifest, readImage, readParameters } from "../manifest/create.ts";
import { readManifestFile, signerKey, signManifest } from "../manifest/file.ts";
import { unreadText } from "../manifest/text.ts";
import type { SignerOptions } from "../signer.ts";
import { Complaint } from "../terminal.ts";
import { addKept } from "./manifestKept.ts";
import { addRead } from "./manifestRead.ts";
import { onePair, type Pair, pair } from "./pairs.ts";
import { needSigner, withSigner } from "./signing.ts";
import { out } from "./state.ts";

const SIGNER_NAME = /^[!-*,-~]{1,200}$/;

export function addManifest(top: Command): void {
  const manifest = top
    .command("manifest")
    .description("What runs in a cluster, down to the versions of libraries: signed, compared, asked.");
  addCreate(manifest);
  addCopy(manifest);
  addSignerKey(manifest);
  addRead(manifest);
  addKept(manifest);
}

type SignFlags = SignerOptions & { as: string; out?: string; json?: boolean };

/** Flags of what is signed as a release. */
function withRelease(command: Command): Command {
  return withSigner(command)
    .requiredOption(
      "--as <name>",
      "the release signer's name, as in the policy's signers: vendor.example/release-2026",
      signerName,
    )
    .option("--out <file>", "write it there (default: stdout)")
    .option("--json", "print digest and checksum as JSON, with --out");
}

type CreateFlags = SignFlags & {
  image: Pair[];
  digest: Pair[];
  parameters: string;
  says: string;
  files?: string;
  agent?: Pair;
  version: string;
};

function addCreate(manifest: Command): void {
  withRelease(
    manifest
      .command("create")
      .description("Make and sign a manifest from SBOMs (CycloneDX, SPDX) or root file systems.")
      .requiredOption(
        "--image <named>",
        "NAME=PATH, an image: its SBOM as JSON, or the folder of its root file system; may be given again",
        pair,
        [],
      )
      .option("--digest <named>", "NAME=SHA256, the digest of an image's own bytes; needed with an SBOM", pair, [])
      .requiredOption("--version <version>", "of the release, MAJOR.MINOR.PATCH: policies permit ranges of it", version)
      .requiredOption("--parameters <file>", "YAML: cluster, place, images, groups, zones, authorities, names, policy")
      .requiredOption("--says <words>", "your own name for it, such as the release")
      .option("--files <folder>", "keep the list of each root file system's files there, IMAGE.mtree, for verify")
      .option("--agent <named>", "VERSION=PATH, the agent's executable that belongs to it", onePair),
  ).action((options: CreateFlags) => {
    const digests = new Map(options.digest);
    const sources = options.image.map(
      ([name, path]): ImageSource => ({ name, path, digest: digests.get(name) ?? null }),
    );
    const stray = options.digest.find(([name]) => !sources.some((source) => source.name === name));
    if (stray !== undefined)
      throw new Complaint(
        2,
        "make the manifest",
        `--digest names the image ${stray[0]}, --image does not`,
        "Give both the same name.",
      );
    const found = sources.map(readImage);
    for (const { image, nameless, unread } of found) {
      if (nameless.length > 0)
        process.stderr.write(
          `warning: ${image.name}: ${nameless.length} components have no package URL and are left out: ${nameless.slice(0, 5).join(", ")}${nameless.length > 5 ? ", …" : ""}\n`,
        );
      process.stderr.write(unreadText(image.name, unread));
    }
    if (options.files !== undefined) keepLists(options.files, found);
    const agent = options.agent === undefined ? null : agentOf(...options.agent);
    const images = found.map(({ image }) => image);
    const content = { agent, images, version: options.version };
    const unread = found.flatMap(({ image, unread: files }) => files.map((file) => ({ image: image.name, ...file })));
    write(makeManifest(options.says, content, readParameters(options.parameters)), options, { unread });
  });
}

function keepLists(folder: string, found: readonly Found[]): void {
  for (const { image, list } of found)
    if (list !== null) writeFileSync(join(folder, `${image.name}.mtree`), list, { mode: 0o644 });
}

function addCopy(manifest: Command): void {
  withRelease(
    manifest
      .command("copy")
      .description("The same content with other parameters, for another name or region: the checksum stays.")
      .argument("<file>", "a manifest")
      .requiredOption("--parameters <file>", "the copy's own, as in create")
      .option("--says <words>", "another name for it"),
  ).action((file: string, options: SignFlags & { parameters: string; says?: string }) => {
    const { manifest: of } = readManifestFile(file);
    write(makeManifest(options.says ?? of.says, of.content, readParameters(options.parameters)), options);
  });
}

/** `more`: what `--json` says beside it. */
function write(made: Manifest, options: SignFlags, more: object = {}): void {
  const note = signManifest(made, options.as, needSigner(options));
  if (options.out === undefined) {
    out(note);
    return;
  }
  writeFileSync(options.out, note, { mode: 0o644 });
  const { digest } = readManifestFile(options.out);
  const checksum = checksumOf(made.content);
  out(
    options.json
      ? `${JSON.stringify({ digest, checksum, file: options.out, ...more })}\n`
      : `digest    ${digest}\nchecksum  ${checksum}\n`,
  );
}

function addSignerKey(manifest: Command): void {
  withSigner(
    manifest
      .command("signer")
      .description("The verifier key of a release signer, for the customer's policy.")
      .requiredOption("--as <name>", "its name, such as vendor.example/release-2026", signerName),
  ).action((options: SignerOptions & { as: string }) => out(`${signerKey(options.as, needSigner(options))}\n`));
}

function version(text: string): string {
  if (!VERSION.test(text)) throw new InvalidArgumentError(`${VERSION_FORM}.`);
  return text;
}

export function signerName(text: string): string {
  if (!SIGNER_NAME.test(text)) throw new InvalidArgumentError("Printable characters without space and +, at most 200.");
  return text;
}
