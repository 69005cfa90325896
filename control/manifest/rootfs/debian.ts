import { makePurl } from "../purl.ts";
import type { Read } from "./languages.ts";
import type { RootTree } from "./tree.ts";

const STATUS = "var/lib/dpkg/status";
/** Images without a package manager have a file a package here. */
const STATUS_FOLDER = "var/lib/dpkg/status.d";

/** Packages that dpkg holds for installed (deb-control(5), dpkg-query(1)), by the file that says so. */
export function debianPackages(tree: RootTree): { readonly path: string; readonly read: Read }[] {
  const distribution = distributionOf(tree);
  const folder = tree.list(STATUS_FOLDER).filter((name) => !name.endsWith(".md5sums"));
  return [STATUS, ...folder.map((name) => `${STATUS_FOLDER}/${name}`)].flatMap((path) =>
    (tree.read(path)?.toString("utf8") ?? "")
      .split(/\n\n+/)
      .filter((stanza) => stanza.trim() !== "")
      .map((stanza) => ({ path, read: packageOf(stanza, distribution) })),
  );
}

/** ID of os-release(5): whose packages these are. */
export function distributionOf(tree: RootTree): string {
  const text = (tree.read("etc/os-release") ?? tree.read("usr/lib/os-release"))?.toString("utf8") ?? "";
  return /^ID="?([a-z0-9._-]+)"?$/m.exec(text)?.[1] ?? "debian";
}

function packageOf(stanza: string, distribution: string): Read {
  const field = (name: string): string | undefined => new RegExp(`^${name}: *(.+)$`, "m").exec(stanza)?.[1]?.trim();
  const [name, version, architecture, status] = [
    field("Package"),
    field("Version"),
    field("Architecture"),
    field("Status"),
  ];
  // status.d has no Status: what is there is installed.
  if (!(status ?? "install ok installed").endsWith(" installed")) return { purls: [] };
  if (name === undefined || version === undefined)
    return { unread: `it has a package without ${name === undefined ? "a name" : `a version: ${name}`}` };
  const qualifiers = architecture === undefined ? {} : { arch: architecture };
  return { purls: [makePurl("deb", distribution, name, version, qualifiers)] };
}
