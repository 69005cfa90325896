import type { Stat } from "../host/host.ts";

/** For whom files are judged. `by`: how it is known. */
export type AgentUser = { readonly uid: number; readonly gids: readonly number[]; readonly by: string };

/** A path as it was found: its stat, or the errno's name of why there is none. */
export type PathFact = { readonly path: string; readonly stat: Stat | null; readonly code: string | null };

/** Whether a user can change what a file or folder holds; its owner can, whatever the mode says now. Root is not asked about. */
export function mayWrite(stat: Stat, user: AgentUser): boolean {
  if (stat.uid === user.uid) return true;
  return (stat.mode & 0o002) !== 0 || ((stat.mode & 0o020) !== 0 && user.gids.includes(stat.gid));
}

/** Whether a user can reach what lies in a folder whose name it knows. */
export function mayEnter(stat: Stat, user: AgentUser): boolean {
  if (user.uid === 0) return true;
  if (stat.uid === user.uid) return (stat.mode & 0o100) !== 0;
  return (stat.mode & (user.gids.includes(stat.gid) ? 0o010 : 0o001)) !== 0;
}

/** The first of some nested folders in which the user can put one thing in another's place; null when there is none. */
export function replaceableIn(folders: readonly PathFact[], user: AgentUser): PathFact | null {
  const found = folders.find(({ stat }) => {
    if (stat === null || !mayWrite(stat, user)) return false;
    const sticky = (stat.mode & 0o1000) !== 0;
    return !sticky || stat.uid === user.uid;
  });
  return found ?? null;
}

export function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}

/** `/`, `/etc`, `/etc/reeve`: the folder and those that it lies in. */
export function foldersOf(path: string): string[] {
  const parts = path.split("/").filter(Boolean);
  return ["/", ...parts.map((_, at) => `/${parts.slice(0, at + 1).join("/")}`)];
}

/** uid, name and groups of a user by passwd(5) and group(5); the gids without a name for one that stands in neither. */
export function groupsOf(uid: number, passwd: string, group: string): readonly number[] {
  const row = rows(passwd).find((fields) => fields[2] === String(uid));
  if (row === undefined) return [];
  const [name = "", , , gid] = row;
  const more = rows(group).filter((fields) => (fields[3] ?? "").split(",").includes(name));
  return [...new Set([gid, ...more.map((fields) => fields[2])].map(Number).filter(Number.isSafeInteger))];
}

function rows(text: string): string[][] {
  return text.split("\n").map((line) => line.split(":"));
}
