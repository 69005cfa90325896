import { MAX_SWITCH_BYTES } from "../limits.ts";
import { readOwned } from "./files.ts";
import type { OwnersFolder } from "./folder.ts";

/** `inode` tells one turning-on from the next. */
export type Switch =
  | { readonly on: true; readonly inode: number }
  | {
      readonly on: false;
      readonly why: string /** False: it may be there, and cannot be judged. */;
      readonly missing: boolean;
    };

/** The owner's switch: `on` absent, unreadable or in doubt means suspended (invariant 5). Why: the first line of `suspended`. */
export function readSwitch({ disk, at }: OwnersFolder): Switch {
  const on = readOwned(disk, at, "on", MAX_SWITCH_BYTES);
  if ("bytes" in on) return { on: true, inode: on.stat.inode };
  if (on.what !== "missing") return { on: false, why: on.because, missing: false };
  const why = readOwned(disk, at, "suspended", MAX_SWITCH_BYTES);
  if (!("bytes" in why)) return { on: false, why: "by the customer", missing: true };
  return {
    on: false,
    why:
      printable(new TextDecoder().decode(why.bytes).split("\n")[0] ?? "")
        .slice(0, 200)
        .toWellFormed() || "by the customer",
    missing: true,
  };
}

function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}]/gu, "");
}
