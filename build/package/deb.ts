import { chmodSync, mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail, runWith } from "../command.ts";
import type { Content, Item } from "./content.ts";
import { DEB_SCRIPTS } from "./scripts.ts";
import { age, MOMENT, stage } from "./stage.ts";

const ARCHITECTURE = { x64: "amd64", arm64: "arm64" } as const;

/** Makes a Debian package by dpkg-deb in `dist`; returns its file name. */
export function makeDeb(
  content: Content,
  version: string,
  architecture: keyof typeof ARCHITECTURE,
  executable: string,
  scratch: string,
  dist: string,
): string {
  const name = `${content.name}_${version}_${ARCHITECTURE[architecture]}.deb`;
  const root = join(scratch, name.replace(/\.deb$/, ""));
  const items = content.items("deb", executable);
  stage(root, items);
  const control = join(root, "DEBIAN");
  mkdirSync(control);
  writeFileSync(join(control, "control"), controlFile(content, version, ARCHITECTURE[architecture], kilobytes(items)));
  if (content.name === "reeve")
    for (const [script, text] of Object.entries(DEB_SCRIPTS)) {
      writeFileSync(join(control, script), text);
      chmodSync(join(control, script), 0o755);
    }
  chmodSync(join(control, "control"), 0o644);
  chmodSync(control, 0o755);
  age(root);
  const made = join(scratch, name);
  // One thread: how many there are must not be seen in the bytes.
  const words = ["--root-owner-group", "--threads-max=1", "-Zzstd", "-z3", "--build", root, made];
  if (!runWith(["dpkg-deb", ...words], { SOURCE_DATE_EPOCH: String(MOMENT) }))
    fail(`Cannot make ${name}.`, "dpkg-deb's own words are above; apt-get install dpkg");
  renameSync(made, join(dist, name));
  return name;
}

function controlFile(content: Content, version: string, architecture: string, size: number): string {
  return `Package: ${content.name}
Version: ${version}
Section: admin
Priority: optional
Architecture: ${architecture}
Depends: ${["libc6 (>= 2.28)", ...content.needs].join(", ")}
Installed-Size: ${size}
Maintainer: The reeve maintainers <maintainers@reeve.invalid>
Description: ${content.summary}
`;
}

function kilobytes(items: readonly Item[]): number {
  let bytes = 0;
  for (const item of items)
    if ("bytes" in item) bytes += item.bytes.byteLength;
    else if ("from" in item) bytes += statSync(item.from).size;
  return Math.ceil(bytes / 1024);
}
