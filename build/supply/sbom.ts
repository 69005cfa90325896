/**
 * A CycloneDX 1.6 SBOM (ECMA-424) of an executable, from the bundler's own account of what is in it. Nothing in it is of the machine or the
 * moment: the same sources give the same bytes.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inOrder, makePurl } from "../../control/manifest/purl.ts";
import { ROOT } from "../command.ts";
import { type Lock, type Locked, placeOf } from "./lock.ts";

/** The bundler's account of what it made: esbuild's metafile, as far as it is read here. */
export type Metafile = {
  readonly outputs: Readonly<
    Record<string, { readonly inputs: Readonly<Record<string, { readonly bytesInOutput: number }>> }>
  >;
};
export type Component = {
  readonly type: "library" | "platform";
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly hashes?: readonly { readonly alg: "SHA-512"; readonly content: string }[];
  readonly licenses: readonly unknown[];
  readonly purl: string;
};

/** Packages that something is left of in the output: places in the lockfile, each once. */
export function placesIn(metafile: Metafile): string[] {
  const kept = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [placeOf(path)] : [])),
  );
  return [...new Set(kept)].filter((place) => place !== null).sort();
}

/** The text of `name`'s SBOM. Throws when a package has no licence, or is none that the lockfile pins. */
export function sbomOf(name: string, version: string, places: readonly string[], lock: Lock): string {
  const found = new Map(places.map((at) => componentOf(at, lock)).map((one) => [one.purl, one]));
  const bun = bunComponent();
  found.set(bun.purl, bun);
  const refs = inOrder(found.keys());
  const self = makePurl("generic", null, name, version);
  const document = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      lifecycles: [{ phase: "build" }],
      component: {
        type: "application",
        "bom-ref": self,
        name,
        version,
        licenses: licenceOf("Apache-2.0"),
        purl: self,
      },
    },
    components: refs.map((ref) => found.get(ref)),
    // What is bundled into it, not what asks for what: the bundler leaves out most of what a package asks for.
    dependencies: [{ ref: self, dependsOn: refs }, ...refs.map((ref) => ({ ref }))],
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}

function componentOf(at: string, lock: Lock): Component {
  const locked = lock.packages.get(at);
  if (locked === undefined) throw new Error(`${at} is in the executable and not in bun.lock`);
  const folder = join(ROOT, "node_modules", ...placeFolders(at));
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<string, unknown>;
  const licence = about["license"];
  if (typeof licence !== "string") throw new Error(`${at} says no licence in its package.json`);
  if (locked.version.startsWith("file:")) return ourOwn(locked, String(about["version"]), licence);
  if (about["name"] !== locked.name || about["version"] !== locked.version)
    throw new Error(
      `node_modules holds ${String(about["name"])} ${String(about["version"])} as ${at}, bun.lock another`,
    );
  const [namespace, short] = locked.name.startsWith("@") ? locked.name.split("/") : [null, locked.name];
  const purl = makePurl("npm", namespace ?? null, short ?? "", locked.version);
  return {
    type: "library",
    "bom-ref": purl,
    name: locked.name,
    version: locked.version,
    hashes: [{ alg: "SHA-512", content: sha512Of(locked) }],
    licenses: licenceOf(licence),
    purl,
  };
}

/** `a/@b/c` is a/node_modules/@b/c. */
function placeFolders(at: string): string[] {
  return [...at.matchAll(/(?:@[^/]+\/)?[^/]+/g)].flatMap(([step], index) =>
    index === 0 ? [step] : ["node_modules", step],
  );
}

/** A package of ours that stands in another's place. Its purl is not the other's: what is known of that one does not hold of it. */
function ourOwn(locked: Locked, version: string, licence: string): Component {
  const short = locked.version.slice(locked.version.lastIndexOf("/") + 1);
  const purl = makePurl("generic", null, `reeve-${short}`, version);
  const description = `An empty package of reeve's own in the place of ${locked.name}.`;
  return {
    type: "library",
    "bom-ref": purl,
    name: `reeve-${short}`,
    version,
    description,
    licenses: licenceOf(licence),
    purl,
  };
}

/** The runtime that `bun build --compile` puts in. */
function bunComponent(): Component {
  const purl = makePurl("npm", null, "bun", Bun.version);
  const description =
    "The runtime in the executable, with what it links: JavaScriptCore, BoringSSL, SQLite, zlib and others.";
  return {
    type: "platform",
    "bom-ref": purl,
    name: "bun",
    version: Bun.version,
    description,
    licenses: licenceOf("MIT"),
    purl,
  };
}

function licenceOf(text: string): readonly unknown[] {
  return / (?:OR|AND|WITH) /.test(text) ? [{ expression: text }] : [{ license: { id: text } }];
}

function sha512Of({ at, integrity }: Locked): string {
  if (integrity === null || !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity))
    throw new Error(`bun.lock pins no SHA-512 of ${at}`);
  return Buffer.from(integrity.slice("sha512-".length), "base64").toString("hex");
}
