import { z } from "zod";
import { isPlainPath } from "../plainPath.ts";
import { CallFailed } from "../provider.ts";
import { sortedJson } from "../sortedJson.ts";
import type { GcpCalls, GcpContext } from "./call.ts";
import { endpointOf } from "./endpoints.ts";
import { jsonCall } from "./jsonCall.ts";
import { ownTemplate } from "./tokens.ts";

/** What a template of a command's own says of itself: what the group launched from before, and by which policy it was updated. */
export type Left = { readonly command: string; readonly from: string; readonly policy: Json };
export type Json = Readonly<Record<string, unknown>>;
export type Template = {
  /** `projects/P/global/instanceTemplates/NAME`, or of a region. It never changes once it is made. */
  readonly path: string;
  /** `projects/P/global/images/NAME`; null: its boot disk comes of something else, or of whatever a family's newest is. */
  readonly image: string | null;
  readonly properties: Json;
  /** Of one that a command made; null: made by somebody else. */
  readonly left: Left | null;
};

const PATH = /projects\/[a-z0-9:.-]{1,127}\/(?:global|regions\/[a-z0-9-]{1,63})\/instanceTemplates\/[a-z0-9-]{1,63}$/;
const IMAGE = /projects\/[a-z0-9:.-]{1,127}\/global\/images\/[a-z0-9-]{1,63}$/;

/** The end of a URL of the API that names a template; null when it does not. */
export function templatePath(url: string): string | null {
  return plain(PATH.exec(url)?.[0]);
}
export function imagePath(url: string): string | null {
  return plain(IMAGE.exec(url)?.[0]);
}
function plain(path = ""): string | null {
  return path !== "" && isPlainPath(`/${path}`) ? path : null;
}

const InstanceTemplate = z.object({
  name: z.string(),
  selfLink: z.string(),
  description: z.string().default(""),
  properties: z.record(z.string(), z.unknown()),
});
const Description = z.strictObject({ reeve: z.string(), from: z.string(), policy: z.record(z.string(), z.unknown()) });
const Disks = z.array(
  z.looseObject({
    boot: z.boolean().optional(),
    initializeParams: z.looseObject({ sourceImage: z.string().optional() }).optional(),
  }),
);

/** Null when there is none. Throws CallFailed. */
export async function readTemplate({ gcp }: GcpContext, calls: GcpCalls, path: string): Promise<Template | null> {
  // A machine may have been made from one of another project, which nothing is asked of.
  if (
    !path.startsWith(`projects/${gcp.project}/global/`) &&
    !path.startsWith(`projects/${gcp.project}/regions/${gcp.region}/`)
  )
    throw new CallFailed("template-elsewhere", `${path} is of another project or region than the config's`, "none");
  calls.known.add(path);
  const url = new URL(`/compute/v1/${path}`, endpointOf(gcp, "compute"));
  try {
    const found = await jsonCall({ calls, service: "compute", url, method: "GET" }, InstanceTemplate);
    if (!found.selfLink.endsWith(`/${path}`))
      throw new CallFailed("malformed", "another template was described", "none");
    calls.known.add(unlike(found.properties));
    return { path, image: imageIn(found.properties), properties: found.properties, left: leftIn(found.description) };
  } catch (error) {
    if (error instanceof CallFailed && error.status === "missing") return null;
    throw error;
  }
}

function leftIn(description: string): Left | null {
  if (!description.startsWith("{")) return null;
  try {
    const read = Description.safeParse(JSON.parse(description));
    return read.success ? { command: read.data.reeve, from: read.data.from, policy: read.data.policy } : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function bootOf(properties: Json): { readonly at: number; readonly disks: z.infer<typeof Disks> } | null {
  const disks = Disks.safeParse(properties["disks"]);
  if (!disks.success) return null;
  const boot = disks.data.flatMap(({ boot: is }, at) => (is === true ? [at] : []));
  const [at] = boot;
  return at === undefined || boot.length !== 1 ? null : { at, disks: disks.data };
}

export function imageIn(properties: Json): string | null {
  const boot = bootOf(properties);
  return boot === null ? null : imagePath(boot.disks[boot.at]?.initializeParams?.sourceImage ?? "");
}

/** The same with another image on its one boot disk; null: that disk is not made from an image. */
export function withImage(properties: Json, image: string): Json | null {
  const boot = bootOf(properties);
  const params = boot?.disks[boot.at]?.initializeParams;
  if (boot === null || params?.sourceImage === undefined) return null;
  const disks = boot.disks.map((disk, at) =>
    at === boot.at ? { ...disk, initializeParams: { ...params, sourceImage: image } } : disk,
  );
  return { ...properties, disks };
}

/** What all templates have in common that differ in their image alone. */
export function unlike(properties: Json): string {
  return `properties:${sortedJson(withImage(properties, "") ?? properties)}`;
}

/** Whether two templates differ in nothing but the image; fingerprints and kinds are Google's own words for the rest. */
export function isAlike(a: Json, b: Json): boolean {
  const own = ({ fingerprint: _, kind: __, ...rest }: Json): Json =>
    Object.fromEntries(Object.entries(rest).map(([name, one]) => [name, of(one)]));
  const of = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(of);
    return typeof value === "object" && value !== null ? own(value as Json) : value;
  };
  return unlike(own(a)) === unlike(own(b));
}

/** The body of a copy of a template with another image. Null: it cannot have another. */
export function copyOf(source: Template, image: string, command: string, policy: Json): object | null {
  const properties = withImage(source.properties, image);
  if (properties === null) return null;
  const description = JSON.stringify({ reeve: command, from: source.path, policy });
  return { name: ownTemplate(command), description, properties };
}
