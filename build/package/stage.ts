import { chmodSync, copyFileSync, lutimesSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Item } from "./content.ts";

/** The moment that every file of a package bears, in seconds: no clock is read, so that the same sources make the same bytes. */
export const MOMENT = Date.UTC(2026, 0, 1) / 1000;

/** Puts the files below `root` as the package will have them, whatever the umask and the clock are. */
export function stage(root: string, items: readonly Item[]): void {
  for (const item of items) {
    const to = join(root, item.path);
    mkdirSync("folder" in item ? to : dirname(to), { recursive: true });
    if ("bytes" in item) writeFileSync(to, item.bytes);
    else if ("from" in item) copyFileSync(item.from, to);
  }
  for (const name of [".", ...readdirSync(root, { recursive: true, encoding: "utf8" })]) {
    const item = items.find(({ path }) => path === `/${name}`);
    // A folder that is on the way to one of ours.
    chmodSync(join(root, name), item?.mode ?? 0o755);
  }
  age(root);
}

/** Gives everything below `root` the moment, folders after what is in them. */
export function age(root: string): void {
  for (const name of readdirSync(root, { recursive: true, encoding: "utf8" }).toSorted().toReversed())
    lutimesSync(join(root, name), MOMENT, MOMENT);
  lutimesSync(root, MOMENT, MOMENT);
}
