import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail, runWith } from "../command.ts";
import type { Content } from "./content.ts";
import { RPM_SCRIPTS } from "./scripts.ts";
import { MOMENT, stage } from "./stage.ts";

const ARCHITECTURE = { x64: "x86_64", arm64: "aarch64" } as const;

/** What would make the bytes depend on where and when they are made, or change our executables: stripping one ends it. */
const SETTINGS: Readonly<Record<string, string>> = {
  _buildhost: "reeve",
  _build_id_links: "none",
  _binary_payload: "w3.zstdio",
  __os_install_post: "%{nil}",
  __arch_install_post: "%{nil}",
  debug_package: "%{nil}",
  source_date_epoch_from_changelog: "0",
  use_source_date_epoch_as_buildtime: "1",
  clamp_mtime_to_source_date_epoch: "1",
};

/** Makes an RPM by rpmbuild in `dist`; returns its file name. */
export function makeRpm(
  content: Content,
  version: string,
  architecture: keyof typeof ARCHITECTURE,
  executable: string,
  scratch: string,
  dist: string,
): string {
  const target = ARCHITECTURE[architecture];
  const name = `${content.name}-${version}-1.${target}.rpm`;
  const folder = join(scratch, name.replace(/\.rpm$/, ""));
  mkdirSync(folder);
  const items = content.items("rpm", executable);
  stage(join(folder, "staged"), items);
  const files = items.map((item) => {
    const kind = "folder" in item ? "%dir " : item.path.startsWith("/usr/share/doc/") ? "%doc " : "";
    return `%attr(${item.mode.toString(8)}, root, root) ${kind}${item.path}\n`;
  });
  const spec = join(folder, `${content.name}.spec`);
  writeFileSync(spec, specFile(content, version, join(folder, "staged"), files.join("")));
  const settings = { ...SETTINGS, _topdir: join(folder, "top"), _rpmdir: join(folder, "made"), _rpmfilename: name };
  const words = Object.entries(settings).flatMap(([key, value]) => ["--define", `${key} ${value}`]);
  if (
    !runWith(["rpmbuild", "--quiet", "-bb", `--target=${target}-linux`, ...words, spec], {
      SOURCE_DATE_EPOCH: String(MOMENT),
      HOME: folder,
    })
  )
    fail(`Cannot make ${name}.`, "rpmbuild's own words are above; apt-get install rpm");
  renameSync(join(folder, "made", name), join(dist, name));
  return name;
}

function specFile(content: Content, version: string, staged: string, files: string): string {
  return `Name: ${content.name}
Version: ${version}
Release: 1
Summary: ${content.summary}
License: Apache-2.0
AutoReqProv: no
${content.needs.map((need) => `Requires: ${need}\n`).join("")}
%description
${content.summary}

%install
mkdir -p %{buildroot}
cp -a ${staged}/. %{buildroot}/
${content.name === "reeve" ? RPM_SCRIPTS : ""}
%files
${files}`;
}
