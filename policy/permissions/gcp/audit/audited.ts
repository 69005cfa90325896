import type { Audited, Excess, Group, Unreadable } from "../../audit/report.ts";
import type { Rendered } from "../render.ts";
import { type Grant, readRole } from "./read.ts";
import { opens, waysOf } from "./ways.ts";

/** Basic roles: thousands of permissions each, over everything. */
const BASIC = new Set(["roles/owner", "roles/editor", "roles/viewer"]);

/** Within: the permission is needed on that resource. One bound at the project is needed there only by what is bound there. */
function isWithin({ roles }: Rendered, { permission, resource }: Grant): boolean {
  return roles.some(
    ({ permissions, bindings }) =>
      permission !== null &&
      permissions.includes(permission) &&
      (resource === null || bindings.some((binding) => binding.resource === resource)),
  );
}

function excessOf(grant: Grant, ways: readonly string[]): Excess {
  const { permission, role, resource, condition, at } = grant;
  const groups: Group[] = [
    ...(ways.length > 0 || role === "roles/owner" || role === "roles/editor" ? (["escalation"] as const) : []),
    ...(BASIC.has(role) ? (["wildcard"] as const) : []),
    ...(resource !== null && /^projects\/[^/]+$/.test(resource) && condition === null
      ? (["unconditioned"] as const)
      : []),
    "rest",
  ];
  const [group = "rest", ...also] = groups;
  return {
    group,
    also: also.filter((one) => one !== "rest"),
    words: {
      what: permission ?? role,
      where: resource ?? "what the role is bound on",
      held: condition === null ? "no condition" : `if ${condition}`,
      at,
    },
    json: { permission, role, resource, condition, ways },
  };
}

/** What a role's file has beyond the least permissions. Never throws on bad input. */
export function audited(least: Rendered, file: Uint8Array, name: string | null): Audited | Unreadable {
  const role = readRole(file, name);
  if ("because" in role) return role;
  const beyond = role.grants.filter((grant) => !isWithin(least, grant));
  const open = waysOf(role.grants.flatMap(({ permission }) => (permission === null ? [] : [permission])));
  return {
    excess: beyond.map((grant) => excessOf(grant, grant.permission === null ? [] : opens(grant.permission, open))),
    ways: open.filter(({ id }) =>
      beyond.some(({ permission }) => permission !== null && opens(permission, open).includes(id)),
    ),
    within: role.grants.length - beyond.length,
    notes: role.notes,
  };
}
