import { digestOf } from "../../../agent/wire/envelope.ts";
import { Complaint } from "../../terminal.ts";
import { inOrder } from "../purl.ts";
import { debianPackages, distributionOf } from "./debian.ts";
import { FINDERS, goModules, rustCrates } from "./languages.ts";
import { mtreeLine } from "./mtree.ts";
import { rpmPackages } from "./rpm.ts";
import { rootTree } from "./tree.ts";

export type Scan = {
  readonly packages: readonly string[];
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
  const packages = [...debianPackages(tree), ...rpmPackages(tree, distributionOf(tree))];
  const lines: string[] = [];
  for (const entry of tree.entries()) {
    lines.push(mtreeLine(entry));
    if (entry.kind === "file")
      packages.push(...packagesOf(entry.path, (entry.mode & 0o111) !== 0, () => tree.read(entry.path)));
  }
  const list = lines.sort().join("");
  return { packages: inOrder(packages), digest: digestOf(list), list };
}

function packagesOf(path: string, executable: boolean, read: () => Buffer | null): string[] {
  const finders = FINDERS.filter((finder) => finder.of(path));
  if (finders.length === 0 && !executable) return [];
  const cannot = (why: string): Complaint =>
    new Complaint(3, `look into ${path}`, why, "Mend the image, or give an SBOM of it instead.");
  const bytes = read();
  if (bytes === null) throw cannot("it changed while it was read");
  try {
    const found = finders.flatMap((finder) => finder.packages(path, bytes));
    return executable ? [...found, ...goModules(bytes), ...rustCrates(bytes)] : found;
  } catch (error) {
    // A name or a version that no package URL can hold: a package that is not named must not be passed over.
    throw cannot(`what it names is no package: ${error instanceof Error ? error.message : error}`);
  }
}
