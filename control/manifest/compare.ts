import { digestOf } from "../../agent/wire/envelope.ts";
import type { Content } from "../../agent/wire/manifest.ts";
import { Complaint } from "../terminal.ts";
import { type Changed, packageDifferences } from "./diff.ts";
import { splitLine } from "./rootfs/mtree.ts";
import { scanRoot } from "./rootfs/scan.ts";

/** How a root file system compares with an image of a manifest. */
export type Compared = {
  readonly image: string;
  readonly same: boolean;
  /** Of the root's own files. */
  readonly digest: string;
  readonly packages: readonly Changed[];
  /** `+`, `-` or `~` and the path; null where no list of the image's files was given. */
  readonly files: readonly string[] | null;
};

/** Reads a root and holds it to an image. `list`: the files of that image, as `create --files` kept them. Throws a Complaint. */
export function compareRoot(content: Content, name: string, folder: string, list: string | null): Compared {
  const image = content.images.find((one) => one.name === name);
  if (image === undefined)
    throw new Complaint(
      2,
      "verify",
      `the manifest has no image ${name}`,
      `It has ${content.images.map((one) => one.name).join(", ")}.`,
    );
  if (list !== null && digestOf(list) !== image.digest)
    throw new Complaint(
      3,
      "verify",
      `the list of files is not that of the image ${name}`,
      "Give the folder that `manifest create --files` wrote with this manifest.",
    );
  const root = scanRoot(folder);
  const packages = packageDifferences(image.packages, root.packages);
  return {
    image: name,
    same: root.digest === image.digest && packages.length === 0,
    digest: root.digest,
    packages,
    files: list === null ? null : fileDifferences(list, root.list),
  };
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
