/**
 * A manifest's version: `MAJOR.MINOR.PATCH`, three whole numbers of 0 to 999999 without leading zeros. Nothing may follow them (no
 * pre-release, no build), so that a range of versions can be checked by eye.
 */
const PART = "(?:0|[1-9][0-9]{0,5})";
export const VERSION = new RegExp(`^${PART}\\.${PART}\\.${PART}$`);
export const VERSION_FORM = "a version: MAJOR.MINOR.PATCH, each 0 to 999999 without leading zeros";

/** Below zero when `a` comes before `b`. Both are of the form. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  for (const [at, part] of left.entries()) {
    const difference = part - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Throws for what is no version: our own mistake, parsers look first. */
export function partsOf(version: string): readonly number[] {
  if (!VERSION.test(version)) throw new Error(`${JSON.stringify(version)} is no version`);
  return version.split(".").map(Number);
}

/** Whether a version lies in the range, both ends included. */
export function isWithin(version: string, { min, max }: { readonly min: string; readonly max: string }): boolean {
  return compareVersions(version, min) >= 0 && compareVersions(version, max) <= 0;
}
