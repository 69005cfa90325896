import { PackageURL } from "packageurl-js";

/** What of a package URL (ECMA-427) is asked about: `pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64`. */
export type Package = {
  readonly purl: string;
  readonly type: string;
  /** "" where there is none. */
  readonly namespace: string;
  readonly name: string;
  readonly version: string;
};

/** Reads a package URL and spells it as its library does; null for what is none, or has no version. */
export function readPurl(text: string): Package | null {
  let read: PackageURL;
  try {
    read = PackageURL.fromString(text);
  } catch {
    // Its text is somebody's SBOM: what is no package URL is none.
    return null;
  }
  const { type, namespace, name, version } = read;
  if (!type || !name || !version) return null;
  return { purl: read.toString(), type, namespace: namespace ?? "", name, version };
}

/** The purl of its parts. Throws on what no package can be called. */
export function makePurl(
  type: string,
  namespace: string | null,
  name: string,
  version: string,
  qualifiers: Readonly<Record<string, string>> = {},
): string {
  const some = Object.keys(qualifiers).length === 0 ? null : { ...qualifiers };
  return new PackageURL(type, namespace, name, version, some, null).toString();
}

/** In a manifest's order, each once. */
export function inOrder(purls: Iterable<string>): string[] {
  return [...new Set(purls)].sort();
}
