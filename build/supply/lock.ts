/** bun.lock: which package lies in which folder of node_modules, from where, with which digest. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../command.ts";

/** `at`: the folders of node_modules joined by `/`, as bun.lock writes it (`a/b` is node_modules/a/node_modules/b). */
export type Locked = {
  readonly at: string;
  readonly name: string;
  /** A version, or where it is from: `file:…`, `git+…`, `https:…`. */
  readonly version: string;
  /** "" is the registry that npm names by default. Null for what is from none. */
  readonly registry: string | null;
  /** Subresource integrity: `sha512-` and base64. */
  readonly integrity: string | null;
};
type Workspace = Readonly<Record<string, unknown>>;
export type Lock = {
  readonly workspaces: Readonly<Record<string, Workspace>>;
  readonly overrides: Readonly<Record<string, string>>;
  readonly trusted: readonly string[];
  readonly packages: ReadonlyMap<string, Locked>;
};

type Written = {
  readonly workspaces: Lock["workspaces"];
  readonly overrides?: Lock["overrides"];
  readonly trustedDependencies?: readonly string[];
  readonly packages: Readonly<Record<string, readonly unknown[]>>;
};

/** Throws on what is no lockfile of Bun's. */
export function readLock(text: string): Lock {
  // JSON but for commas before a closing bracket, each at a line's end or within a row, never inside a string.
  const written = JSON.parse(text.replace(/,(\s*[}\]])/g, "$1")) as Written;
  const packages = Object.entries(written.packages).map(([at, row]) => [at, lockedOf(at, row)] as const);
  if (packages.length === 0) throw new Error("bun.lock names no package");
  return {
    workspaces: written.workspaces,
    overrides: written.overrides ?? {},
    trusted: written.trustedDependencies ?? [],
    packages: new Map(packages),
  };
}

export function lockOfRoot(): Lock {
  return readLock(readFileSync(join(ROOT, "bun.lock"), "utf8"));
}

/** From the registry: `[name@version, registry, about, integrity]`; else `[name@from, about]`, with a digest or without. */
function lockedOf(at: string, row: readonly unknown[]): Locked {
  const [first, second, , fourth] = row;
  const split = typeof first === "string" ? first.indexOf("@", 1) : -1;
  if (typeof first !== "string" || split < 1) throw new Error(`bun.lock: ${at} has no name and version`);
  const named = { at, name: first.slice(0, split), version: first.slice(split + 1) };
  if (typeof second !== "string") return { ...named, registry: null, integrity: null };
  return { ...named, registry: second, integrity: typeof fourth === "string" ? fourth : null };
}

/** `at` of a path below node_modules; null for a file of ours. */
export function placeOf(path: string): string | null {
  const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0];
  return folder === undefined ? null : folder.split("node_modules/").slice(1).join("");
}
