import { z } from "zod";
import type { Unreadable } from "../../audit/report.ts";

/**
 * A role's file on Google Cloud, in the forms in which its own tools and ours print it: one role (`gcloud iam roles describe --format json`), a list
 * of them, an IAM policy (`gcloud … get-iam-policy --format json`), or roles and bindings together (`reeve policy permissions`).
 */
const Role = z.looseObject({
  name: z.string().min(1).max(512),
  includedPermissions: z.array(z.string().regex(/^[a-z][a-zA-Z0-9_-]*(?:\.[a-zA-Z0-9_-]+)+$/)).default([]),
});
const Condition = z.looseObject({ title: z.string().default(""), expression: z.string() });
const Bound = z.looseObject({
  role: z.string().min(1).max(512),
  /** Who has it; none in our own files. */
  members: z.array(z.string()).optional(),
  /** Where it is bound; an IAM policy is of one resource and does not say which. */
  resource: z.string().optional(),
  condition: Condition.nullish(),
});
const Together = z.looseObject({ roles: z.array(Role).default([]), bindings: z.array(Bound) });

/** One permission that a role grants, or a role whose permissions the file does not hold. */
export type Grant = {
  readonly permission: string | null;
  readonly role: string;
  /** Null: the file does not say. */
  readonly resource: string | null;
  readonly condition: string | null;
  readonly at: string;
};
export type RoleFile = { readonly grants: readonly Grant[]; readonly notes: readonly string[] };

/** `name`: a role's, where the file lists several roles; a member's, where an IAM policy holds several. */
export function readRole(file: Uint8Array, name: string | null): RoleFile | Unreadable {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(file));
  } catch {
    return { because: "it is not JSON", hint: "Print it with --format json." };
  }
  const together = Together.safeParse(json);
  if (together.success) return ofBindings(together.data, name);
  const roles = z.array(Role).safeParse(Array.isArray(json) ? json : [json]);
  if (!roles.success)
    return {
      because: "it is neither a role nor an IAM policy of Google Cloud",
      hint: "Print it with gcloud iam roles describe, or gcloud projects get-iam-policy, and --format json.",
    };
  return ofRoles(roles.data, name);
}

type RoleOf = z.infer<typeof Role>;
const shortName = (role: string): string => role.slice(role.lastIndexOf("/") + 1);

function ofRoles(roles: readonly RoleOf[], name: string | null): RoleFile | Unreadable {
  const wanted = name === null ? roles : roles.filter((role) => role.name === name || shortName(role.name) === name);
  const names = roles.map((role) => role.name).join(", ");
  if (wanted.length === 0) return { because: `it holds no role ${name}`, hint: `It holds ${names}.` };
  if (wanted.length > 1) return { because: "it holds several roles", hint: `Choose one with --role: ${names}.` };
  const grants = wanted.flatMap(({ name: role, includedPermissions }) =>
    includedPermissions.map((permission) => ({
      permission,
      role,
      resource: null,
      condition: null,
      at: shortName(role),
    })),
  );
  return { grants, notes: ["A role alone does not say on what it is bound: only its permissions are compared."] };
}

function ofBindings({ roles, bindings }: z.infer<typeof Together>, name: string | null): RoleFile | Unreadable {
  const members = [...new Set(bindings.flatMap((binding) => binding.members ?? []))];
  if (name === null && members.length > 1)
    return { because: "it binds several members", hint: `Choose one with --role: ${members.slice(0, 8).join(", ")}.` };
  const full = name === null || name.includes(":") ? name : `serviceAccount:${name}`;
  if (full !== null && !members.includes(full))
    return { because: `it binds nothing to ${full}`, hint: `It binds to ${members.slice(0, 8).join(", ")}.` };
  const own = bindings.filter(({ members: of }) => full === null || of?.includes(full) === true);
  const grants = own.flatMap(({ role, resource, condition }, at): Grant[] => {
    const where = {
      role,
      resource: resource ?? null,
      condition: condition?.expression ?? null,
      at: `binding ${at + 1}`,
    };
    const known = roles.find((one) => one.name === role);
    if (known === undefined) return [{ ...where, permission: null }];
    return known.includedPermissions.map((permission) => ({ ...where, permission }));
  });
  const unknown = [...new Set(grants.filter(({ permission }) => permission === null).map(({ role }) => role))];
  const notes =
    unknown.length === 0
      ? []
      : [
          `What ${unknown.join(", ")} permits is not in the file: each counts as beyond. Add its definition to "roles".`,
        ];
  return { grants, notes };
}
