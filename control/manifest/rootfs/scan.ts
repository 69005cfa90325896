import { createHash } from "node:crypto";
import { inOrder } from "../purl.ts";
import { debianPackages, distributionOf } from "./debian.ts";
import { FINDERS, goModules, rustCrates } from "./languages.ts";
import { rpmPackages } from "./rpm.ts";
import { rootTree } from "./tree.ts";

export type Scan = {
  readonly packages: readonly string[];
  /** `sha256:` over lines `HEX  PATH` of every plain file, in the order of the paths' bytes: what sha256sum prints, and checks. */
  readonly digest: string;
  /** The lines themselves. */
  readonly list: string;
};

/**
 * What is in a root file system: packages of dpkg and rpm, of npm and pip, modules of Go executables and crates of Rust ones that say so, and
 * the digest of its files. Nothing in it is run. What no package database and no executable tells is only in the list of files.
 */
export function scanRoot(root: string): Scan {
  const tree = rootTree(root);
  const packages = [...debianPackages(tree), ...rpmPackages(root, distributionOf(tree))];
  const found: { path: Buffer; line: string }[] = [];
  for (const { path, executable } of tree.files()) {
    const bytes = tree.read(path);
    // It went while we read: a root that changes has no digest.
    if (bytes === null) throw new Error(`${path} changed while it was read`);
    found.push({ path: Buffer.from(path), line: `${createHash("sha256").update(bytes).digest("hex")}  ${path}\n` });
    for (const finder of FINDERS) if (finder.of(path)) packages.push(...finder.packages(path, bytes));
    if (executable) packages.push(...goModules(bytes), ...rustCrates(bytes));
  }
  found.sort((a, b) => a.path.compare(b.path));
  const list = found.map(({ line }) => line).join("");
  return {
    packages: inOrder(packages),
    digest: `sha256:${createHash("sha256").update(list).digest("hex")}`,
    list,
  };
}
