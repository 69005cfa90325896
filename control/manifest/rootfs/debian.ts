import { makePurl } from "../purl.ts";
import type { RootTree } from "./tree.ts";

const STATUS = "var/lib/dpkg/status";
/** Images without a package manager have a file a package here. */
const STATUS_FOLDER = "var/lib/dpkg/status.d";

/** Packages that dpkg holds for installed (deb-control(5), dpkg-query(1)). */
export function debianPackages(tree: RootTree): string[] {
  const distribution = distributionOf(tree);
  const texts = [
    tree.read(STATUS)?.toString("utf8") ?? "",
    ...tree
      .list(STATUS_FOLDER)
      .filter((name) => !name.endsWith(".md5sums"))
      .map((name) => tree.read(`${STATUS_FOLDER}/${name}`)?.toString("utf8") ?? ""),
  ];
  return texts.flatMap((text) => text.split(/\n\n+/)).flatMap((stanza) => packageOf(stanza, distribution));
}

/** ID of os-release(5): whose packages these are. */
export function distributionOf(tree: RootTree): string {
  const text = (tree.read("etc/os-release") ?? tree.read("usr/lib/os-release"))?.toString("utf8") ?? "";
  return /^ID="?([a-z0-9._-]+)"?$/m.exec(text)?.[1] ?? "debian";
}

function packageOf(stanza: string, distribution: string): string[] {
  const field = (name: string): string | undefined => new RegExp(`^${name}: *(.+)$`, "m").exec(stanza)?.[1]?.trim();
  const [name, version, architecture, status] = [
    field("Package"),
    field("Version"),
    field("Architecture"),
    field("Status"),
  ];
  // status.d has no Status: what is there is installed.
  if (name === undefined || version === undefined || !(status ?? "install ok installed").endsWith(" installed"))
    return [];
  return [makePurl("deb", distribution, name, version, architecture === undefined ? {} : { arch: architecture })];
}
