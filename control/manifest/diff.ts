import { type Content, checksumOf, type Manifest } from "../../agent/wire/manifest.ts";
import { type Package, readPurl } from "./purl.ts";

/** One package that is not the same in two images. `from` or `to` is empty where it came or went; several versions can be there at once. */
export type Changed = { readonly package: string; readonly from: readonly string[]; readonly to: readonly string[] };
export type ImageDifference = {
  readonly image: string;
  readonly from: string | null;
  readonly to: string | null;
  /** Digests of the lists of files where they differ; null in it: none is held. */
  readonly files: readonly [string | null, string | null] | null;
  readonly packages: readonly Changed[];
};
export type Difference = {
  readonly same: boolean;
  readonly checksums: readonly [string, string];
  readonly agent: readonly [string | null, string | null] | null;
  readonly images: readonly ImageDifference[];
  /** Paths of parameters that differ, with both values as JSON. */
  readonly parameters: readonly { readonly path: string; readonly from: string | null; readonly to: string | null }[];
};

/** What differs between two manifests, image by image and package by package; parameters apart. Nothing is judged. */
export function difference(a: Manifest, b: Manifest): Difference {
  const checksums = [checksumOf(a.content), checksumOf(b.content)] as const;
  const agents = [agentText(a.content), agentText(b.content)] as const;
  const images = imageDifferences(a.content, b.content);
  return {
    same: checksums[0] === checksums[1],
    checksums,
    agent: agents[0] === agents[1] ? null : agents,
    images,
    parameters: parameterDifferences(a, b),
  };
}

function agentText({ agent }: Content): string | null {
  return agent === null ? null : `${agent.version} ${agent.digest}`;
}

function imageDifferences(a: Content, b: Content): ImageDifference[] {
  const names = [...new Set([...a.images, ...b.images].map(({ name }) => name))].sort();
  return names.flatMap((name) => {
    const [from, to] = [a, b].map((content) => content.images.find((image) => image.name === name));
    const packages = packageDifferences(from?.packages ?? [], to?.packages ?? []);
    const files = from?.files === to?.files ? null : ([from?.files ?? null, to?.files ?? null] as const);
    if (from?.digest === to?.digest && files === null && packages.length === 0) return [];
    return [{ image: name, from: from?.digest ?? null, to: to?.digest ?? null, files, packages }];
  });
}

/** By package without its version: `pkg:deb/debian/libssl3`, with the qualifiers left out of the name. */
export function packageDifferences(a: readonly string[], b: readonly string[]): Changed[] {
  const [from, to] = [versionsOf(a), versionsOf(b)];
  const names = [...new Set([...from.keys(), ...to.keys()])].sort();
  return names.flatMap((name) => {
    const [before, after] = [from.get(name) ?? [], to.get(name) ?? []];
    return before.join() === after.join() ? [] : [{ package: name, from: before, to: after }];
  });
}

function versionsOf(purls: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const purl of purls) {
    const read = readPurl(purl);
    const name = read === null ? purl : nameOf(read);
    found.set(name, [...(found.get(name) ?? []), read?.version ?? ""].sort());
  }
  return found;
}

function nameOf({ purl }: Package): string {
  return (purl.split(/[?#]/)[0] ?? "").replace(/@[^@]*$/, "");
}

function parameterDifferences(a: Manifest, b: Manifest): Difference["parameters"] {
  const [from, to] = [leavesOf(a.parameters), leavesOf(b.parameters)];
  const paths = [...new Set([...from.keys(), ...to.keys()])].sort();
  return paths
    .filter((path) => from.get(path) !== to.get(path))
    .map((path) => ({ path, from: from.get(path) ?? null, to: to.get(path) ?? null }));
}

function leavesOf(value: unknown, path = ""): Map<string, string> {
  if (value === null || typeof value !== "object" || Array.isArray(value))
    return new Map([[path, JSON.stringify(value)]]);
  const found = new Map<string, string>();
  for (const [name, inner] of Object.entries(value))
    for (const [at, text] of leavesOf(inner, path === "" ? name : `${path}.${name}`)) found.set(at, text);
  return found;
}
