import type { RuleFor } from "../policy.ts";
import { type Extent, type Range, range } from "./extents.ts";
import type { Region } from "./region.ts";
import { rangeWords, type Space } from "./space.ts";

export function asRange(extent: Extent | undefined): Range {
  if (extent?.kind !== "range") throw new Error("not a range");
  return extent;
}

/** Machines added (or, below zero, removed), so that a good example is chosen: one, where one may be. */
function niceChange({ min, max }: Range): number {
  const wanted = [1, -1].find((one) => min <= one && one <= max);
  if (wanted !== undefined) return wanted;
  return min > 0 ? min : max;
}

function changeWords({ min, max }: Range): string {
  if (min === 0 && max === 0) return "leaving the count as it is";
  if (min > 0) return `adding ${rangeWords(min, max)}`;
  if (max < 0) return `removing ${rangeWords(-max, -min)}`;
  const parts = [...(max > 0 ? [`adding at most ${max}`] : []), ...(min < 0 ? [`removing at most ${-min}`] : [])];
  return parts.join(" or ");
}

/** `count` asked, and `change`: what was asked less what was found, which is never below zero. */
export function scaleSpace(group: string): Space {
  const fields = (region: Region) => ({ count: asRange(region["count"]), change: asRange(region["change"]) });
  return {
    of: null,
    regionOf(rule): Region | null {
      const { count, change } = rule as RuleFor<"scale">;
      return { count: range(count.min, count.max), change: range(-change.down, change.up) };
    },
    possible: (region) => fields(region).count.max >= fields(region).change.min,
    sample(region) {
      const { count, change } = fields(region);
      const added = Math.min(niceChange(change), count.max);
      const asked = Math.max(count.min, added);
      return {
        asked: { action: "scale", args: { group, count: asked } },
        found: { action: "scale", count: asked - added },
      };
    },
    valuesOf: ({ asked, found }) =>
      asked.action === "scale" && found.action === "scale" && asked.args.group === group && found.count >= 0
        ? { count: asked.args.count, change: asked.args.count - found.count }
        : null,
    idle: (region) => fields(region).change.min === 0 && fields(region).change.max === 0,
    words(region) {
      const { count, change } = fields(region);
      return `set the group ${group} to ${rangeWords(count.min, count.max)} machines, ${changeWords(change)}`;
    },
  };
}
