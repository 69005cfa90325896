import { z } from "zod";
import { duplicateName } from "../audit/duplicates.ts";
import type { Unreadable } from "../audit/report.ts";

/**
 * Roles out of what Azure's own tools print: `az role definition list`, one definition as `az role definition create` takes it, and what
 * `policy permissions --format azure` prints. What is not understood whole is not judged.
 */
export type RoleGrant = {
  readonly name: string;
  readonly actions: readonly string[];
  readonly notActions: readonly string[];
  readonly dataActions: readonly string[];
  readonly notDataActions: readonly string[];
  /** Where it is, or may be, assigned. */
  readonly scopes: readonly string[];
};

const Names = z.array(z.string().min(1).max(512)).default([]);
const Scopes = z.array(z.string().startsWith("/").max(2048)).min(1);
/** As the command line takes it, in capitals. */
const Written = z.strictObject({
  Name: z.string(),
  Id: z.string().nullish(),
  IsCustom: z.boolean().optional(),
  Description: z.string().nullish(),
  Actions: Names,
  NotActions: Names,
  DataActions: Names,
  NotDataActions: Names,
  AssignableScopes: Scopes,
});
const Permission = z.strictObject({
  actions: Names,
  notActions: Names,
  dataActions: Names,
  notDataActions: Names,
  condition: z.null().optional(),
  conditionVersion: z.null().optional(),
});
/** As Azure answers with it. */
const Listed = z.looseObject({
  roleName: z.string(),
  permissions: z.array(Permission),
  assignableScopes: Scopes,
});
const Printed = z.strictObject({
  roleDefinitions: z.array(Written),
  roleAssignments: z.array(z.strictObject({ role: z.string(), scope: z.string().startsWith("/") })),
});

const SHAPES = "Give the output of az role definition list --name NAME, or of reeve policy permissions.";

function ofWritten(role: z.infer<typeof Written>, scopes: readonly string[]): RoleGrant {
  const { Name, Actions, NotActions, DataActions, NotDataActions } = role;
  return {
    name: Name,
    actions: Actions,
    notActions: NotActions,
    dataActions: DataActions,
    notDataActions: NotDataActions,
    scopes,
  };
}

function grantsOf(value: unknown): readonly RoleGrant[] | null {
  const list = Array.isArray(value) ? value : [value];
  const all = list.map((one) => {
    const printed = Printed.safeParse(one);
    if (printed.success) {
      const { roleDefinitions, roleAssignments } = printed.data;
      return roleDefinitions.map((role) =>
        ofWritten(
          role,
          roleAssignments.filter((each) => each.role === role.Name).map(({ scope }) => scope),
        ),
      );
    }
    const written = Written.safeParse(one);
    if (written.success) return [ofWritten(written.data, written.data.AssignableScopes)];
    const listed = Listed.safeParse(one);
    if (!listed.success) return null;
    const { roleName: name, permissions, assignableScopes: scopes } = listed.data;
    return permissions.map(({ actions, notActions, dataActions, notDataActions }) => ({
      ...{ name, actions, notActions, dataActions, notDataActions, scopes },
    }));
  });
  return all.every((one) => one !== null) ? all.flat() : null;
}

/** `name`: which role, where the file holds several; null for all of them together. Never throws on bad input. */
export function readRoles(
  bytes: Uint8Array,
  name: string | null,
): { readonly roles: readonly RoleGrant[] } | Unreadable {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    const twice = duplicateName(text);
    if (twice !== null)
      return { because: `${JSON.stringify(twice)} stands twice in one object`, hint: "Keep one of the two." };
    const roles = grantsOf(value);
    if (roles === null) return { because: "it holds what is no role definition that is known whole", hint: SHAPES };
    const chosen = name === null ? roles : roles.filter((role) => role.name === name);
    if (chosen.length > 0) return { roles: chosen };
    const names = roles.map((role) => role.name).slice(0, 10);
    return { because: "it holds no such role", hint: names.length === 0 ? SHAPES : `It holds ${names.join(", ")}.` };
  } catch (error) {
    if (error instanceof TypeError) return { because: "it is not UTF-8 text", hint: SHAPES };
    if (error instanceof SyntaxError) return { because: "it is not JSON", hint: SHAPES };
    // Only recursion over absurdly deep nesting ends here.
    if (error instanceof RangeError) return { because: "it is nested too deep", hint: SHAPES };
    throw error;
  }
}
