import { readFileSync, statSync } from "node:fs";
import type { z } from "zod";
import { digestOf } from "../../agent/wire/envelope.ts";
import { type Content, Image, Manifest, Parameters } from "../../agent/wire/manifest.ts";
import { Digest } from "../../agent/wire/names.ts";
import { readStrict } from "../strictFile.ts";
import { Complaint } from "../terminal.ts";
import { scanRoot, type Unread } from "./rootfs/scan.ts";
import { readSbom } from "./sbom.ts";

export type ImageSource = {
  readonly name: string;
  /** An SBOM's file, or the folder of a root file system. */
  readonly path: string;
  /** Of the image's own bytes. Needed with an SBOM; of a root file system its list of files has one, too. */
  readonly digest: string | null;
};
export type Found = {
  readonly image: Image;
  /** Software without a package URL, which is therefore not in the manifest. */
  readonly nameless: readonly string[];
  /** Files of a root that claim to name packages and do not parse; likewise. */
  readonly unread: readonly Unread[];
  /** What is in a root, as mtree(5) has it; null for an SBOM. */
  readonly list: string | null;
};

/** What one image holds. Throws a Complaint for what cannot be read. */
export function readImage(source: ImageSource): Found {
  const cannot = `read the image ${source.name}`;
  const folder = statSync(source.path).isDirectory();
  const found = folder ? ofRoot(source.path) : ofSbom(source.path, cannot);
  const digest = source.digest ?? found.files;
  if (digest === null)
    throw new Complaint(
      2,
      cannot,
      "an SBOM does not say which bytes it is of",
      `Give --digest ${source.name}=sha256:… of the image.`,
    );
  const files = found.files === null ? {} : { files: found.files };
  const image = Image.safeParse({ name: source.name, digest, ...files, packages: [...found.packages] });
  if (!image.success) throw new Complaint(3, cannot, fieldOf(image.error), "See docs/MANIFEST.md.");
  return { image: image.data, nameless: found.nameless, unread: found.unread, list: found.list };
}

function ofRoot(path: string) {
  const { packages, unread, digest, list } = scanRoot(path);
  return { packages, files: digest, list, nameless: [], unread };
}

function ofSbom(path: string, cannot: string) {
  const sbom = readSbom(readFileSync(path, "utf8"));
  if ("fault" in sbom)
    throw new Complaint(3, cannot, `${path}: ${sbom.fault}`, "Make it by a scanner such as syft or trivy.");
  return { packages: sbom.packages, files: null, list: null, nameless: sbom.nameless, unread: [] };
}

const ParametersFile = Parameters.extend({ policy: Digest.nullable().default(null) });

/** The parameters out of a YAML file, as strict as a policy. Throws a Complaint with the line. */
export function readParameters(path: string): Parameters {
  return readStrict(path, ParametersFile, `read the parameters ${path}`, "See docs/MANIFEST.md.");
}

/** Puts a manifest together; its images in any order. Throws a Complaint for parts that do not fit. */
export function makeManifest(says: string, { agent, images, version }: Content, parameters: Parameters): Manifest {
  const sorted = [...images].sort((a, b) => (a.name < b.name ? -1 : 1));
  const made = Manifest.safeParse({
    type: "reeve-manifest",
    v: 1,
    says,
    content: { agent, images: sorted, version },
    parameters,
  });
  if (!made.success) throw new Complaint(3, "make the manifest", fieldOf(made.error), "See docs/MANIFEST.md.");
  return made.data;
}

/** The agent of a manifest: an executable, by its digest. */
export function agentOf(version: string, path: string): Content["agent"] {
  return { version, digest: digestOf(readFileSync(path)) };
}

function fieldOf(error: z.ZodError): string {
  const issue = error.issues[0];
  return `${issue?.path.map(String).join(".") || "it"}: ${issue?.message ?? "not of its form"}`;
}
