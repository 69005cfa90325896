import type { Image, Manifest } from "../../agent/wire/manifest.ts";
import type { SharedGroup } from "../../agent/wire/protocol.ts";
import { type Changed, packageDifferences } from "./diff.ts";

/** One group of a cluster, held to its manifest. */
export type GroupMatch = {
  readonly group: string;
  /** `not shared`: the agent said nothing of it. `other count`: the image is right, and counts are no content. */
  readonly is: "as it says" | "other image" | "other count" | "not shared" | "not in the manifest";
  /** Where the image should lie, and where it does; null: not said, or different ones. */
  readonly wanted: string | null;
  readonly found: string | null;
  readonly count: readonly [wanted: number | null, found: number | null];
  /** Of what is found, when it is an image of another manifest that is kept here; null: nobody knows what is in it. */
  readonly packages: readonly Changed[] | null;
};

/** Holds what an agent said of its groups to a manifest. `imageAt`: an image by where it lies, of any manifest of this cluster. Pure. */
export function matches(
  manifest: Manifest,
  shared: readonly SharedGroup[],
  imageAt: (location: string) => Image | null,
): GroupMatch[] {
  const { groups, images } = manifest.parameters;
  const names = [...new Set([...Object.keys(groups), ...shared.map(({ group }) => group)])].sort();
  return names.map((group): GroupMatch => {
    const said = shared.find((one) => one.group === group);
    const named = Object.hasOwn(groups, group) ? groups[group] : undefined;
    const wanted = named === undefined ? null : (images[named.image] ?? null);
    const found = said?.image ?? null;
    const count = [named?.count ?? null, said?.count ?? null] as const;
    const one = { group, wanted, found, count, packages: null };
    if (named === undefined) return { ...one, is: "not in the manifest" };
    if (said === undefined) return { ...one, is: "not shared" };
    if (found !== null && found === wanted) return { ...one, is: count[0] === count[1] ? "as it says" : "other count" };
    const due = manifest.content.images.find(({ name }) => name === named.image);
    const there = found === null ? null : imageAt(found);
    const packages = due === undefined || there === null ? null : packageDifferences(due.packages, there.packages);
    return { ...one, is: "other image", packages };
  });
}

/** A cluster is what its manifest says when each group runs the image it should. How many there are is not content. */
export function holdsTo(found: readonly GroupMatch[]): boolean {
  return found.length > 0 && found.every(({ is }) => is === "as it says" || is === "other count");
}
