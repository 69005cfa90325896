import { MAX_MANIFEST_DEPTH } from "../../agent/limits.ts";
import { canonical, type Json } from "../../agent/wire/canonical.ts";
import { digestOf } from "../../agent/wire/envelope.ts";
import type { Content, Parameters } from "../../agent/wire/manifest.ts";
import type { Groups } from "../revisions/state.ts";

/** By place (`aws/111122223333/eu-west-1`), where each image lies there. */
export type Images = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A cluster's own manifest with the rollout's content. `text`: the line that is signed, with its newline. */
export type Target = {
  readonly text: string;
  readonly digest: string;
  readonly parameters: Parameters;
  /** Groups that do not run it yet. */
  readonly wanted: readonly string[];
};

export function placeName({ cloud, account, region }: Parameters["place"]): string {
  return `${cloud}/${account}/${region}`;
}

/** A manifest's text but for its parameters: the content can be large, and is written out once. */
export type Frame = { readonly content: Content; readonly before: string; readonly after: string };
export function frameOf(content: Content, says: string): Frame {
  return {
    content,
    before: `{"content":${canonical(content as Json, MAX_MANIFEST_DEPTH)},"parameters":`,
    after: `,"says":${canonical(says)},"type":"reeve-manifest","v":1}`,
  };
}

/**
 * Pure: the target of a cluster whose manifest has `parameters` now, and whose groups run what `running` says. On a machine of one's own an
 * image is named by its digest; elsewhere `images` says where it lies. `fault`: what is missing.
 */
export function targetOf(
  frame: Frame,
  parameters: Parameters,
  images: Images,
  running: Groups,
): Target | { readonly fault: string } {
  const known = new Map(frame.content.images.map(({ name, digest }) => [name, digest]));
  const used = new Set(Object.values(parameters.groups).map(({ image }) => image));
  const strange = [...used].find((name) => !known.has(name));
  if (strange !== undefined) return { fault: `its groups run the image ${strange}, which the manifest does not hold` };
  const place = placeName(parameters.place);
  const locations: Record<string, string> = {};
  for (const [name, digest] of known) {
    const location = parameters.place.cloud === "local" ? digest : images[place]?.[name];
    if (location !== undefined) locations[name] = location;
    else if (used.has(name)) return { fault: `nobody says where the image ${name} lies in ${place}` };
  }
  const own: Parameters = { ...parameters, images: locations };
  const line = `${frame.before}${canonical(own as Json, MAX_MANIFEST_DEPTH)}${frame.after}`;
  const wanted = Object.entries(own.groups)
    .filter(([group, { image }]) => running[group]?.image !== locations[image])
    .map(([group]) => group)
    .sort();
  return { text: `${line}\n`, digest: digestOf(line), parameters: own, wanted };
}
