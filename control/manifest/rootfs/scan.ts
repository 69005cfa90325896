import { digestOf } from "../../../agent/wire/envelope.ts";
import { Complaint } from "../../terminal.ts";
import { inOrder } from "../purl.ts";
import { debianPackages, distributionOf } from "./debian.ts";
import { FINDERS, goModules, type Read, rustCrates } from "./languages.ts";
import { mtreeLine } from "./mtree.ts";
import { rpmPackages } from "./rpm.ts";
import { rootTree } from "./tree.ts";

/** A file that claims to name packages and cannot be read so: what it names is in no manifest, and whoever makes one must hear of it. */
export type Unread = { readonly path: string; readonly why: string };
export type Scan = {
  readonly packages: readonly string[];
  readonly unread: readonly Unread[];
  /** `sha256:` over the list. */
  readonly digest: string;
  /** Everything in the root, an mtree(5) line each, in the order of their bytes: kind, mode, owner, contents, where links lead. */
  readonly list: string;
};

/**
 * What is in a root file system: packages of dpkg and rpm, of npm and pip, modules of Go executables and crates of Rust ones that say so, and
 * the digest of all that is there. Nothing in it is run. Throws a Complaint for what cannot be read.
 */
export function scanRoot(root: string): Scan {
  const tree = rootTree(root);
  const [lines, found]: [string[], { path: string; read: Read }[]] = [[], debianPackages(tree)];
  for (const entry of tree.entries()) {
    lines.push(mtreeLine(entry));
    if (entry.kind !== "file") continue;
    const { path } = entry;
    for (const read of packagesOf(path, (entry.mode & 0o111) !== 0, () => tree.read(path))) found.push({ path, read });
  }
  const list = lines.sort().join("");
  const packages = inOrder([
    ...rpmPackages(tree, distributionOf(tree)),
    ...found.flatMap(({ read }) => ("purls" in read ? read.purls : [])),
  ]);
  const unread = found.flatMap(({ path, read }) => ("unread" in read ? [{ path: shown(path), why: read.unread }] : []));
  return { packages, unread, digest: digestOf(list), list };
}

/** A path's bytes, a character each, as the text that they are in UTF-8. */
function shown(path: string): string {
  return Buffer.from(path, "latin1").toString("utf8");
}

function packagesOf(path: string, executable: boolean, read: () => Buffer | null): Read[] {
  const finders = FINDERS.filter((finder) => finder.of(path));
  if (finders.length === 0 && !executable) return [];
  const cannot = (why: string): Complaint =>
    new Complaint(3, `look into ${path}`, why, "Mend the image, or give an SBOM of it instead.");
  const bytes = read();
  if (bytes === null) throw cannot("it changed while it was read");
  try {
    const found = finders.map((finder) => finder.packages(bytes));
    return executable ? [...found, { purls: goModules(bytes) }, rustCrates(bytes)] : found;
  } catch (error) {
    // A name or a version that no package URL can hold: a package that is not named must not be passed over.
    throw cannot(`what it names is no package: ${error instanceof Error ? error.message : error}`);
  }
}
