import type { Installed } from "./facts.ts";
import { fail, type Line, ok } from "./line.ts";
import { type AgentUser, octal } from "./user.ts";

/** The agent's own folders and files: its user's, and closed to others. What is not there yet is made by `run`. */
export function permissionLines(paths: Installed["paths"], user: AgentUser): Line[] {
  const lines = paths.flatMap((fact) => {
    const found = faultOf(fact, user);
    return found === null ? [] : [fail("permissions", fact.path, found.found, found.hint)];
  });
  if (lines.length > 0) return lines;
  const there = paths.filter(({ stat }) => stat !== null).length;
  return [
    ok(
      "permissions",
      "state, identity, keys",
      there === 0
        ? "nothing is there yet: the first start makes it"
        : `${there} folders and files are the agent's own and closed to others`,
    ),
  ];
}

function faultOf(
  { path, stat, code, want }: Installed["paths"][number],
  user: AgentUser,
): { found: string; hint: string } | null {
  if (stat === null) {
    if (code === "ENOENT") return null;
    return {
      found: `it cannot be looked at (${code})`,
      hint: `ls -ld ${path}; each folder above it needs x for the agent's user`,
    };
  }
  if (stat.kind !== want.kind)
    return {
      found: `it is not a ${want.kind === "directory" ? "folder" : "plain file"}`,
      hint: "Move it away, and look who made it.",
    };
  if (stat.uid !== user.uid)
    return {
      found: `it belongs to uid ${stat.uid}, and the agent's user is uid ${user.uid}: the agent refuses to use it`,
      hint: `Look who changed it, then: chown ${user.uid} ${path}`,
    };
  if ((stat.mode & 0o777 & ~want.mode) !== 0)
    return {
      found: `its mode ${octal(stat.mode)} lets others in: the agent refuses to use it`,
      hint: `Look who changed it, then: chmod ${octal(want.mode)} ${path}`,
    };
  if (want.kind === "file" && stat.links !== 1)
    return { found: "it has a second name (a hard link)", hint: `find / -xdev -samefile ${path}; remove the other.` };
  return null;
}
