/** What bun.lock and package.json must be for the same bytes to be built again, whoever publishes what meanwhile. Pure: asks nobody. */
import type { Lock, Locked } from "./lock.ts";

/** The one package that stands in another's place, from a folder of ours. */
const OWN = /^file:build\/[a-z-]+$/;
/** A version and nothing else: no range, tag, alias or address. */
const EXACT = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/;
const REGISTRY = /^(?:https:\/\/registry\.npmjs\.org\/.*)?$/;
const SHA512 = /^sha512-[A-Za-z0-9+/]{86}==$/;
const DEPENDENCIES = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"] as const;

type Manifest = Readonly<Record<string, unknown>>;

/** Each fault in a line of its own; none when all is pinned. `manifest`: package.json. */
export function faultsOf(lock: Lock, manifest: Manifest): string[] {
  return [
    ...[...lock.packages.values()].flatMap(faultsOfPackage),
    ...DEPENDENCIES.flatMap((kind) =>
      entries(manifest[kind]).flatMap(([name, version]) =>
        EXACT.test(version) ? [] : [`package.json: ${kind} asks for ${name} ${version}, which is no one version`],
      ),
    ),
    ...[...entries(manifest["overrides"]), ...Object.entries(lock.overrides)].flatMap(([name, version]) =>
      EXACT.test(version) || OWN.test(version.replace("file:./", "file:"))
        ? []
        : [`overrides put ${version} in the place of ${name}`],
    ),
    ...trusted(manifest).map((name) => `package.json trusts ${name} to run scripts when it is installed`),
    ...lock.trusted.map((name) => `bun.lock trusts ${name} to run scripts when it is installed`),
  ];
}

function faultsOfPackage({ at, version, registry, integrity }: Locked): string[] {
  if (registry === null) return OWN.test(version) ? [] : [`${at} comes from ${version}`];
  return [
    ...(EXACT.test(version) ? [] : [`${at} is pinned to ${version}, which is no one version`]),
    ...(REGISTRY.test(registry) ? [] : [`${at} comes from ${registry}`]),
    ...(integrity !== null && SHA512.test(integrity) ? [] : [`${at} has no SHA-512`]),
  ];
}

function entries(value: unknown): [string, string][] {
  return typeof value === "object" && value !== null
    ? Object.entries(value).map(([name, version]) => [name, String(version)])
    : [];
}

/** Bun runs no script of a package that is not named so; a list that is absent is Bun's own, so it must be there and empty. */
function trusted(manifest: Manifest): string[] {
  const named = manifest["trustedDependencies"];
  return Array.isArray(named) ? named.map(String) : ["Bun's own list of packages, for it names none itself,"];
}
