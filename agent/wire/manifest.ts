import { z } from "zod";
import { DNS_NAME, ID } from "../../policy/names.ts";
import { VERSION, VERSION_FORM } from "../../policy/version.ts";
import { MAX_MANIFEST_DEPTH } from "../limits.ts";
import { canonical, type Json, namesPrototype, parseCanonical } from "./canonical.ts";
import { digestOf } from "./envelope.ts";
import { ClusterName, Count, Digest, ResourceName, Words } from "./names.ts";

/**
 * A manifest (DESIGN section 9): what runs in a cluster, down to the versions of libraries. `content` is what a copy elsewhere has too,
 * `parameters` what is this cluster's own. One signed note (c2sp.org/signed-note) whose text is one line, the RFC 8785 form of it all.
 */
const Id = z.string().regex(ID, "a name: a-z 0-9 and -, at most 64");
const Dns = z.string().regex(DNS_NAME, "a DNS name in lower case");
/** A package URL (ECMA-427), as its library spells it. */
const Purl = z
  .string()
  .max(1024)
  .regex(/^pkg:[!-~]+$/, "a package URL");

/** Strictly ascending by UTF-16 code units: one order for one meaning, and nothing twice. */
function ascending(list: readonly string[]): boolean {
  return list.every((item, at) => at === 0 || (list[at - 1] as string) < item);
}
const ORDER = "in ascending order, nothing twice";

export const Image = z.strictObject({
  name: Id,
  /** Of the image's own bytes (an OCI image's digest, a disk image's SHA-256), or of its list of files. */
  digest: Digest,
  /** Of the list of its files; absent where it was made from an SBOM, which has none: its files can then be compared with nothing. */
  files: Digest.optional(),
  /** Every package in it, transitive ones too. */
  packages: z.array(Purl).max(100_000).refine(ascending, ORDER),
});
export const Content = z.strictObject({
  /** The agent that carries it out; null where it is not said. */
  agent: z.strictObject({ version: z.string().max(64), digest: Digest }).nullable(),
  images: z
    .array(Image)
    .min(1)
    .max(64)
    .refine((list) => ascending(list.map(({ name }) => name)), ORDER),
  /** Of the release: policies permit ranges of it. */
  version: z.string().regex(VERSION, VERSION_FORM),
});
export const Parameters = z.strictObject({
  cluster: ClusterName,
  /** `account` and `region`: of Google Cloud the project, of Azure subscription and resource group; both empty on a machine of one's own. */
  place: z.strictObject({ cloud: Id, account: z.string().max(128), region: z.string().max(64) }),
  /** Where each image lies here: an AMI's id, an image's resource name. */
  images: z.record(Id, ResourceName),
  groups: z.record(ResourceName, z.strictObject({ image: Id, count: Count })),
  zones: z.array(ResourceName).max(256).refine(ascending, ORDER),
  authorities: z.array(ResourceName).max(256).refine(ascending, ORDER),
  names: z.array(Dns).max(256).refine(ascending, ORDER),
  policy: Digest.nullable(),
});
export const Manifest = z
  .strictObject({
    content: Content,
    parameters: Parameters,
    type: z.literal("reeve-manifest"),
    /** The vendor's own name for it, such as a release: shown, never obeyed. */
    says: Words,
    v: z.literal(1),
  })
  .superRefine(({ content, parameters }, context) => {
    const known = new Set(content.images.map(({ name }) => name));
    for (const [group, { image }] of Object.entries(parameters.groups))
      if (!known.has(image))
        context.addIssue({
          code: "custom",
          path: ["parameters", "groups", group],
          message: "of an image not in content",
        });
    for (const name of Object.keys(parameters.images))
      if (!known.has(name))
        context.addIssue({
          code: "custom",
          path: ["parameters", "images", name],
          message: "of an image not in content",
        });
  });
export type Image = z.infer<typeof Image>;
export type Content = z.infer<typeof Content>;
export type Parameters = z.infer<typeof Parameters>;
export type Manifest = z.infer<typeof Manifest>;

/** The cluster's checksum: SHA-256 of the canonical content. A copy with other parameters has the same one. */
export function checksumOf(content: Content): string {
  return digestOf(canonical(content as Json, MAX_MANIFEST_DEPTH));
}

/** The text that is signed: one line. */
export function manifestText(manifest: Manifest): string {
  return `${canonical(manifest as Json, MAX_MANIFEST_DEPTH)}\n`;
}

/** `digest`: SHA-256 of the text without its newline, what a command names it by. */
export type ReadManifest = { readonly manifest: Manifest; readonly digest: string } | { readonly fault: string };

/** Reads the text of a manifest's note. Who signed it is the caller's question (verifyNote). `fault` says what is wrong, with the place. */
export function readManifest(text: string): ReadManifest {
  const line = text.slice(0, -1);
  const parsed = text.endsWith("\n") ? parseCanonical(line, MAX_MANIFEST_DEPTH) : { fault: "no newline" };
  if ("fault" in parsed) return { fault: "its text is not one line of canonical JSON (RFC 8785)" };
  // Seldom looked for: a line has no such word but in a name or in what somebody said.
  if (line.includes("__proto__") && namesPrototype(parsed.value)) return { fault: "it has a field __proto__" };
  const manifest = Manifest.safeParse(parsed.value);
  if (manifest.success) return { manifest: manifest.data, digest: digestOf(line) };
  const issue = manifest.error.issues[0];
  return { fault: `${issue?.path.map(String).join(".") || "it"}: ${issue?.message ?? "not of its form"}` };
}
