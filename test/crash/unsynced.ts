import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";

const PAGE = 4096;

/** A file below a folder that was written to since it was synced: what is durable of it ends at `synced`. */
export type Unsynced = { readonly path: string; readonly synced: number; readonly present: number };

/**
 * What of the files below `folder` no sync had reached when the traced process ended: from `strace -f -y -o FILE`. Only for files that
 * grow at their end, as a log's do; those that are written anew beside and renamed are known by their `.new`.
 */
export function unsynced(trace: string, folder: string): Unsynced[] {
  const written = new Map<string, number>();
  for (const line of trace.split("\n")) {
    const call = /^\d+ +(?:[\d.:]+ +)?(\w+)\((\d+)<([^>]*)>.* = (-?\d+)/.exec(line);
    const [, name = "", , path = "", result = "-1"] = call ?? [];
    if (!path.startsWith(folder) || Number(result) < 0) continue;
    if (/^p?write/.test(name)) written.set(path, (written.get(path) ?? 0) + Number(result));
    if (/sync$/.test(name)) written.set(path, 0);
  }
  return [...written].flatMap(([path, bytes]) => {
    if (bytes === 0 || !existsSync(path)) return [];
    const present = statSync(path).size;
    return [{ path, synced: Math.max(0, present - bytes), present }];
  });
}

export const TEARS = [
  "nothing of it",
  "one byte",
  "half",
  "all but one byte",
  "zeros",
  "old page, then new",
  "all",
] as const;
export type Tear = (typeof TEARS)[number];

/** Leaves the file as a power cut may: cut between what was synced and what is there, or pages of it never written. */
export function tear({ path, synced, present }: Unsynced, how: Tear): void {
  const bytes = readFileSync(path);
  const tail = present - synced;
  const keep: Record<string, number> = {
    "nothing of it": synced,
    "one byte": synced + Math.min(1, tail),
    half: synced + Math.floor(tail / 2),
    "all but one byte": present - 1,
  };
  const length = keep[how];
  if (how === "zeros") bytes.fill(0, synced);
  // The length was made durable and the first page of what is new was not, the ones after it were.
  if (how === "old page, then new") bytes.fill(0, synced, Math.min(present, (Math.floor(synced / PAGE) + 1) * PAGE));
  writeFileSync(path, length === undefined ? bytes : bytes.subarray(0, length));
}
