import { readFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../agent/wire/envelope.ts";
import type { Content, Image } from "../../agent/wire/manifest.ts";
import { Complaint } from "../terminal.ts";
import { type Changed, packageDifferences } from "./diff.ts";
import { splitLine } from "./rootfs/mtree.ts";
import { scanRoot, type Unread } from "./rootfs/scan.ts";

/** How a root file system compares with an image of a manifest: its libraries always, its files where the manifest holds the digest of their list. */
export type Compared = {
  readonly image: string;
  /** The libraries, and the files where they were compared. */
  readonly same: boolean;
  /** Of the root's own files. */
  readonly digest: string;
  readonly packages: readonly Changed[];
  /** Files of the root that claim to name packages and do not parse. */
  readonly unread: readonly Unread[];
  /** Null: they were not compared. */
  readonly same_files: boolean | null;
  /** Why the files were not compared; null where they were. */
  readonly uncompared: string | null;
  /** `+`, `-` or `~` and the path; null where no list of the image's files was given. */
  readonly files: readonly string[] | null;
};

const UNCOMPARED = "the manifest holds no list of them (an SBOM has none)";

/** Reads a root and holds it to an image. `lists`: the folder of lists that `create --files` kept, to name each file. Throws a Complaint. */
export function compareRoot(content: Content, name: string, folder: string, lists: string | null): Compared {
  const image = content.images.find((one) => one.name === name);
  if (image === undefined)
    throw new Complaint(
      2,
      "verify",
      `the manifest has no image ${name}`,
      `It has ${content.images.map((one) => one.name).join(", ")}.`,
    );
  const list = lists === null ? null : listOf(image, lists);
  const root = scanRoot(folder);
  const packages = packageDifferences(image.packages, root.packages);
  const sameFiles = image.files === undefined ? null : root.digest === image.files;
  return {
    image: name,
    same: sameFiles !== false && packages.length === 0,
    digest: root.digest,
    packages,
    unread: root.unread,
    same_files: sameFiles,
    uncompared: sameFiles === null ? UNCOMPARED : null,
    files: list === null ? null : fileDifferences(list, root.list),
  };
}

/** The image's list of files, which must be the very one that the manifest holds the digest of; null where it holds none. */
function listOf({ name, files }: Image, folder: string): string | null {
  if (files === undefined) return null;
  const list = readFileSync(join(folder, `${name}.mtree`), "utf8");
  if (digestOf(list) === files) return list;
  throw new Complaint(
    3,
    "verify",
    `the list of files is not that of the image ${name}`,
    "Give the folder that `manifest create --files` wrote with this manifest.",
  );
}

function fileDifferences(from: string, to: string): string[] {
  const [before, after] = [entriesOf(from), entriesOf(to)];
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  return paths.flatMap((path) => {
    const [was, is] = [before.get(path), after.get(path)];
    if (was === is) return [];
    return [`${was === undefined ? "+" : is === undefined ? "-" : "~"} ${path}`];
  });
}

function entriesOf(list: string): Map<string, string> {
  return new Map(
    list
      .split("\n")
      .filter((line) => line !== "")
      .map(splitLine),
  );
}
