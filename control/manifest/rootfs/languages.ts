import { inflateSync } from "node:zlib";
import { z } from "zod";
import { jsonOf } from "../../json.ts";
import { makePurl } from "../purl.ts";

/** Package URLs out of one file's content; or why it is not what it claims to be, so that what it names is not known. */
export type Read = { readonly purls: readonly string[] } | { readonly unread: string };

/** Packages of languages, told by the files that their own tools leave. `bytes` is the file's content. Throws on what no package can be called. */
type Finder = { readonly of: (path: string) => boolean; readonly packages: (bytes: Buffer) => Read };

const NodePackage = z.object({ name: z.string(), version: z.string() });

/** node_modules/NAME/package.json or node_modules/@SCOPE/NAME/package.json, at any depth. */
const npm: Finder = {
  of: (path) => /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/@.][^/]*\/package\.json$/.test(path),
  packages(bytes) {
    const read = NodePackage.safeParse(jsonOf(bytes.toString("utf8")));
    const [, scope, name] = /^(?:(@[^/]+)\/)?([^/]+)$/.exec(read.data?.name ?? "") ?? [];
    if (!read.success || name === undefined)
      return { unread: "it is no JSON with the name and the version of a package" };
    return { purls: [makePurl("npm", scope ?? null, name, read.data.version)] };
  },
};

/** METADATA of a .dist-info, PKG-INFO of an .egg-info (Core metadata: name and version). */
const pip: Finder = {
  of: (path) => /\.dist-info\/METADATA$|\.egg-info\/PKG-INFO$/.test(path),
  packages(bytes) {
    const head = bytes.toString("utf8").split(/\r?\n\r?\n/)[0] ?? "";
    const [name, version] = ["Name", "Version"].map((field) =>
      new RegExp(`^${field}: *(\\S+)$`, "m").exec(head)?.[1]?.trim(),
    );
    if (name === undefined || version === undefined) return { unread: "it has no Name and Version of a package" };
    // PyPI's names are one whatever their case and separators (PEP 503).
    return { purls: [makePurl("pypi", null, name.toLowerCase().replace(/[-_.]+/g, "-"), version)] };
  },
};

const ELF = Buffer.from("\u007fELF", "latin1");
const GO_INFO = Buffer.from("\u00ff Go buildinf:", "latin1");
/** Go's own linker puts the module list between these (cmd/go, runtime/debug.modinfo). */
const GO_BEGIN = Buffer.from("3077af0c9274080241e1c107e6d618e6", "hex");
const GO_END = Buffer.from("f932433186182072008242104116d8f2", "hex");

/** Modules that a Go executable says it was built of, and the Go release itself. */
export function goModules(bytes: Buffer): string[] {
  if (!bytes.subarray(0, 4).equals(ELF)) return [];
  const info = bytes.indexOf(GO_INFO);
  if (info < 0) return [];
  const found = goRelease(bytes, info);
  const begin = bytes.indexOf(GO_BEGIN);
  const end = bytes.indexOf(GO_END, begin + GO_BEGIN.length);
  if (begin < 0 || end < 0) return found;
  let last: { name: string; version: string } | null = null;
  const modules: { name: string; version: string }[] = [];
  for (const line of bytes
    .subarray(begin + GO_BEGIN.length, end)
    .toString("utf8")
    .split("\n")) {
    const [kind, name, version] = line.split("\t");
    if (name === undefined || version === undefined) continue;
    if (kind === "dep" || kind === "mod") {
      last = { name, version };
      modules.push(last);
    } else if (kind === "=>" && last !== null) {
      // What it was replaced by is what is in it.
      [last.name, last.version] = [name, version];
    }
  }
  return [
    ...found,
    ...modules.filter(({ version }) => version.startsWith("v")).map(({ name, version }) => goPurl(name, version)),
  ];
}

function goPurl(path: string, version: string): string {
  const cut = path.lastIndexOf("/");
  return makePurl("golang", cut < 0 ? null : path.slice(0, cut), path.slice(cut + 1), version);
}

/** `go1.22.3`, inline behind the header since Go 1.18 (debug/buildinfo): flags at 15, then a varint of its length. */
function goRelease(bytes: Buffer, info: number): string[] {
  if (((bytes[info + 15] ?? 0) & 2) === 0) return [];
  const length = bytes[info + 32] ?? 0;
  const text = bytes.subarray(info + 33, info + 33 + length).toString("latin1");
  const version = /^go(\d[\w.]*)/.exec(text)?.[1];
  return version === undefined ? [] : [makePurl("golang", null, "stdlib", version)];
}

const CargoAudit = z.object({
  packages: z.array(z.object({ name: z.string(), version: z.string(), kind: z.string().optional() })),
});

const NOT_AUDITABLE: Read = { unread: "its section .dep-v0 is not what cargo-auditable writes" };

/** Crates of a Rust executable that was built with cargo-auditable: zlib JSON in the section `.dep-v0`. */
export function rustCrates(bytes: Buffer): Read {
  const section = elfSection(bytes, ".dep-v0");
  if (section === null) return { purls: [] };
  let text: Buffer;
  try {
    text = inflateSync(section, { maxOutputLength: 8 * 1024 * 1024 });
  } catch {
    return NOT_AUDITABLE;
  }
  const read = CargoAudit.safeParse(jsonOf(text.toString("utf8")));
  if (!read.success) return NOT_AUDITABLE;
  const built = read.data.packages.filter(({ kind }) => kind !== "build");
  return { purls: built.map(({ name, version }) => makePurl("cargo", null, name, version)) };
}

/** A section's bytes of a 64 bit little-endian ELF file; null when there is none. */
function elfSection(bytes: Buffer, wanted: string): Buffer | null {
  if (bytes.length < 64 || !bytes.subarray(0, 4).equals(ELF) || bytes[4] !== 2 || bytes[5] !== 1) return null;
  const [table, size, count, names] = [
    Number(bytes.readBigUInt64LE(40)),
    bytes.readUInt16LE(58),
    bytes.readUInt16LE(60),
    bytes.readUInt16LE(62),
  ];
  const header = (at: number): { name: number; offset: number; size: number } | null => {
    const from = table + at * size;
    if (size < 64 || from + 64 > bytes.length) return null;
    return {
      name: bytes.readUInt32LE(from),
      offset: Number(bytes.readBigUInt64LE(from + 24)),
      size: Number(bytes.readBigUInt64LE(from + 32)),
    };
  };
  const text = header(names);
  if (text === null) return null;
  for (let at = 0; at < count; at++) {
    const one = header(at);
    if (one === null) return null;
    const from = text.offset + one.name;
    if (bytes.toString("latin1", from, from + wanted.length + 1) === `${wanted}\0`)
      return bytes.subarray(one.offset, one.offset + one.size);
  }
  return null;
}

export const FINDERS: readonly Finder[] = [npm, pip];
