import { z } from "zod";
import { inOrder, readPurl } from "./purl.ts";

/**
 * Packages out of an SBOM as JSON: CycloneDX 1.4 to 1.7 (`components`, nested ones too, ECMA-424) or SPDX 2.2 and 2.3 (`externalRefs` of the
 * type purl). Others' fields are passed over; what is read is held to its form.
 */
type Component = {
  purl?: string | undefined;
  name: string;
  version?: string | undefined;
  type: string;
  components?: Component[] | undefined;
};
const Component: z.ZodType<Component> = z.lazy(() =>
  z.object({
    type: z.string(),
    name: z.string(),
    version: z.string().optional(),
    purl: z.string().optional(),
    components: z.array(Component).optional(),
  }),
);
const CycloneDx = z.object({
  bomFormat: z.literal("CycloneDX"),
  specVersion: z.enum(["1.4", "1.5", "1.6", "1.7"]),
  /** What the SBOM is about is in it, too. */
  metadata: z.object({ component: Component.optional() }).optional(),
  components: z.array(Component),
});
const Spdx = z.object({
  spdxVersion: z.enum(["SPDX-2.2", "SPDX-2.3"]),
  packages: z.array(
    z.object({
      name: z.string(),
      versionInfo: z.string().optional(),
      externalRefs: z.array(z.object({ referenceType: z.string(), referenceLocator: z.string() })).optional(),
    }),
  ),
});

/** Levels of JSON: far more than components lie in each other, far fewer than the stack holds. */
const MAX_SBOM_DEPTH = 256;

function isTooDeep(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_SBOM_DEPTH) return true;
    level = level.flatMap((one) => (typeof one === "object" && one !== null ? Object.values(one) : []));
  }
  return false;
}

export type Sbom = {
  readonly format: string;
  readonly packages: readonly string[];
  /** Components that are software and have no package URL with a version: named, for they are not in the manifest. */
  readonly nameless: readonly string[];
};

/** Reads an SBOM's text. `fault`: why it is none that is known. */
export function readSbom(text: string): Sbom | { readonly fault: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { fault: "it is not JSON" };
  }
  if (isTooDeep(value)) return { fault: `it is nested over ${MAX_SBOM_DEPTH} levels` };
  const cyclone = CycloneDx.safeParse(value);
  if (cyclone.success) return ofCycloneDx(cyclone.data);
  const spdx = Spdx.safeParse(value);
  if (spdx.success) return ofSpdx(spdx.data);
  const says = z.object({ bomFormat: z.string().optional(), spdxVersion: z.string().optional() }).safeParse(value);
  const known = "what is read is CycloneDX 1.4 to 1.7 and SPDX 2.2 and 2.3, as JSON";
  if (says.success && says.data.bomFormat === "CycloneDX")
    return { fault: `as CycloneDX it is not of its form (${place(cyclone.error)}); ${known}` };
  if (says.success && says.data.spdxVersion !== undefined)
    return { fault: `as SPDX it is not of its form (${place(spdx.error)}); ${known}` };
  return { fault: `it is no SBOM that is known; ${known}` };
}

function place(error: z.ZodError): string {
  return `${error.issues[0]?.path.map(String).join(".")}: ${error.issues[0]?.message}`;
}

/** Kinds of components that are no software of a package: a file of one, data, hardware. */
const BESIDE = new Set([
  "file",
  "data",
  "device",
  "device-driver",
  "firmware",
  "cryptographic-asset",
  "operating-system",
  "machine-learning-model",
]);

function ofCycloneDx(bom: z.infer<typeof CycloneDx>): Sbom {
  const [packages, nameless]: [string[], string[]] = [[], []];
  const about = bom.metadata?.component;
  const rest = [...(about?.purl === undefined ? [] : [about]), ...bom.components];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    rest.push(...(next.components ?? []));
    const read = next.purl === undefined ? null : readPurl(next.purl);
    if (read !== null) packages.push(read.purl);
    else if (!BESIDE.has(next.type))
      nameless.push(`${next.name}${next.version === undefined ? "" : ` ${next.version}`}`);
  }
  return { format: `CycloneDX ${bom.specVersion}`, packages: inOrder(packages), nameless: nameless.sort() };
}

function ofSpdx(bom: z.infer<typeof Spdx>): Sbom {
  const [packages, nameless]: [string[], string[]] = [[], []];
  for (const one of bom.packages) {
    const purls = (one.externalRefs ?? []).filter(({ referenceType }) => referenceType === "purl");
    const read = purls.flatMap(({ referenceLocator }) => readPurl(referenceLocator) ?? []);
    packages.push(...read.map(({ purl }) => purl));
    if (read.length === 0) nameless.push(`${one.name}${one.versionInfo === undefined ? "" : ` ${one.versionInfo}`}`);
  }
  return { format: bom.spdxVersion, packages: inOrder(packages), nameless: nameless.sort() };
}
