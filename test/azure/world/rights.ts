/** Role definitions and where they are assigned, as Azure RBAC judges them: an action within `actions` and not in `notActions`, at or below a scope. */

export type Role = {
  readonly actions: readonly string[];
  readonly notActions: readonly string[];
  readonly dataActions: readonly string[];
  readonly notDataActions: readonly string[];
};
export type Assignment = { readonly role: Role; readonly scope: string };

/** "*" stands for anything, also for parts; case does not count ("Azure role definitions"). */
export function matches(pattern: string, action: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "i").test(action);
}

function within(scope: string, resource: string): boolean {
  const [outer, inner] = [scope.toLowerCase().replace(/\/$/, ""), resource.toLowerCase()];
  return outer === "" || inner === outer || inner.startsWith(`${outer}/`);
}

export function permitted(
  assignments: readonly Assignment[],
  action: string,
  data: boolean,
  resource: string,
): boolean {
  return assignments.some(({ role, scope }) => {
    if (!within(scope, resource)) return false;
    const [given, taken] = data ? [role.dataActions, role.notDataActions] : [role.actions, role.notActions];
    return given.some((one) => matches(one, action)) && !taken.some((one) => matches(one, action));
  });
}
