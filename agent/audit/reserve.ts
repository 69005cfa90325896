import type { Host } from "../host/host.ts";
import { BALLAST_BYTES } from "../limits.ts";
import { isFull } from "./details.ts";

/**
 * Space that is kept by files, so that what was begun can be ended on a full disk. `ballast` goes first, for any entry; without it no
 * intent is written. `ballast-outcomes` is given up for an outcome only: it holds one of the longest for each command that may run.
 */
export type Reserve = {
  /** Both files are there. */
  readonly whole: boolean;
  /** Gives up a file, for an outcome also the second. False when there is none to give up. */
  spend(outcome: boolean): boolean;
  /** Makes the missing files again, if there is room. */
  restore(): void;
};

export function openReserve(host: Host, folder: string): Reserve {
  const { disk, random } = host;
  const files = [`${folder}/ballast`, `${folder}/ballast-outcomes`];
  const isThere = (path: string): boolean => disk.exists(path) && disk.stat(path).size === BALLAST_BYTES;
  let kept = files.filter(isThere);
  const reserve: Reserve = {
    get whole() {
      return kept.length === files.length;
    },
    spend(outcome) {
      const path = kept[0];
      if (path === undefined || (path === files[1] && !outcome)) return false;
      disk.remove(path);
      kept = kept.slice(1);
      return true;
    },
    restore() {
      // The outcomes' own comes first: it must never be missing while the other is there.
      for (const path of [...files].reverse()) {
        if (kept.includes(path)) continue;
        try {
          // Random bytes: a file system that compresses would keep no room by zeros.
          disk.replace(path, random.bytes(BALLAST_BYTES), 0o600);
        } catch (error) {
          if (!isFull(error)) throw error;
          break;
        }
        kept = files.filter((file) => file === path || kept.includes(file));
      }
    },
  };
  reserve.restore();
  return reserve;
}
