/** Names of images, from what a scale set, a machine, a manifest and an intent say. */
import { isPlainPath } from "../plainPath.ts";

/** A resource's id of a managed image, or of one version of a gallery's; `latest` is none. */
const IMAGE =
  /^(\/subscriptions\/[0-9a-f-]{36}\/resourceGroups\/[A-Za-z0-9_.()-]{1,90}\/providers\/Microsoft\.Compute)\/(images|galleries)\/[A-Za-z0-9_.-]{1,80}(?:(?<=\/images\/[^/]+)|\/images\/[A-Za-z0-9_.-]{1,80}\/versions\/\d{1,9}\.\d{1,9}\.\d{1,9})$/i;

/** Of an id that names an image: what kind of resource it is of; null: it names none, or its path would be another at the place. */
export function imageKind(path: string): "images" | "galleries" | null {
  const kind = isPlainPath(path) ? IMAGE.exec(path)?.[2]?.toLowerCase() : undefined;
  return kind === "images" || kind === "galleries" ? kind : null;
}

export type Reference = Readonly<Record<string, string>>;

const OF_MARKET = ["publisher", "offer", "sku", "version"] as const;
const MARKET = /^[A-Za-z0-9_.-]{1,128}:[A-Za-z0-9_.-]{1,128}:[A-Za-z0-9_.-]{1,128}:[A-Za-z0-9_.-]{1,64}$/;

/**
 * An image reference as one text: a resource's id, `/SharedGalleries/…` or `/CommunityGalleries/…`, or `publisher:offer:sku:version`. Null: it
 * is none. An id is written in small letters, for Azure gives it back in whatever case it likes.
 */
export function imageText(reference: unknown): string | null {
  if (typeof reference !== "object" || reference === null) return null;
  const { id, sharedGalleryImageId: shared, communityGalleryImageId: community, ...market } = reference as Reference;
  const named = id ?? shared ?? community;
  if (named !== undefined) return /^\/[\x21-\x7e]{1,1024}$/.test(named) ? named.toLowerCase() : null;
  const text = OF_MARKET.map((name) => market[name] ?? "").join(":");
  return MARKET.test(text) ? text : null;
}

/** The reference that the text stands for; null: it is no such text. */
export function referenceOf(text: string): Reference | null {
  if (/^\/subscriptions\//i.test(text)) return { id: text };
  if (/^\/sharedgalleries\//i.test(text)) return { sharedGalleryImageId: text };
  if (/^\/communitygalleries\//i.test(text)) return { communityGalleryImageId: text };
  if (!MARKET.test(text)) return null;
  const parts = text.split(":");
  return Object.fromEntries(OF_MARKET.map((name, at) => [name, parts[at] ?? ""]));
}
