import { assignableScopes, type Rendered, type Role } from "./render.ts";

/** A role definition as `az role definition create` takes it. */
export type RoleDefinition = {
  readonly Name: string;
  readonly IsCustom: true;
  readonly Description: string;
  readonly Actions: readonly string[];
  readonly NotActions: readonly string[];
  readonly DataActions: readonly string[];
  readonly NotDataActions: readonly string[];
  readonly AssignableScopes: readonly string[];
};
/** As `az role assignment create` takes it. */
export type RoleAssignment = {
  readonly role: string;
  readonly scope: string;
  readonly condition?: string;
  readonly conditionVersion?: "2.0";
};
export type Document = {
  readonly roleDefinitions: readonly RoleDefinition[];
  readonly roleAssignments: readonly RoleAssignment[];
};

function definitionOf(rendered: Rendered, role: Role): RoleDefinition {
  return {
    Name: role.name,
    IsCustom: true,
    Description: `reeve: ${role.about}.${role.rules.length === 0 ? "" : ` Rules: ${role.rules.join(", ")}`}`,
    Actions: role.actions,
    NotActions: [],
    DataActions: role.dataActions,
    NotDataActions: [],
    AssignableScopes: assignableScopes(rendered.place, role),
  };
}

export function documentOf(rendered: Rendered): Document {
  return {
    roleDefinitions: rendered.roles.map((role) => definitionOf(rendered, role)),
    roleAssignments: rendered.roles.flatMap(({ name, scopes, condition }) =>
      scopes.map((scope) => ({
        role: name,
        scope,
        ...(condition === null ? {} : { condition, conditionVersion: "2.0" as const }),
      })),
    ),
  };
}

/** An HCL string. What could begin a template was refused before; a backslash or quote cannot stand in any name of a policy file. */
function quoted(text: string): string {
  if (/["\\\p{Cc}]|[$%&]\{/u.test(text)) throw new Error("a name that HCL would take apart");
  return `"${text}"`;
}

function list(name: string, values: readonly string[], indent: string): string[] {
  if (values.length === 0) return [];
  return [`${indent}${name} = [`, ...values.map((value) => `${indent}  ${quoted(value)},`), `${indent}]`];
}

function label(name: string): string {
  return name.replaceAll("-", "_");
}

function blocks(rendered: Rendered, role: Role): string[] {
  const scopes = assignableScopes(rendered.place, role);
  const own = label(role.name);
  return [
    "",
    `# ${role.rules.length === 0 ? role.about : role.rules.join(", ")}`,
    `resource "azurerm_role_definition" ${quoted(own)} {`,
    `  name        = ${quoted(role.name)}`,
    `  scope       = ${quoted(scopes[0] ?? "")}`,
    `  description = ${quoted(`reeve: ${role.about}`)}`,
    "",
    "  permissions {",
    ...list("actions", role.actions, "    "),
    ...list("data_actions", role.dataActions, "    "),
    "  }",
    "",
    ...list("assignable_scopes", scopes, "  "),
    "}",
    "",
    `resource "azurerm_role_assignment" ${quoted(own)} {`,
    "  for_each = toset([",
    ...role.scopes.map((scope) => `    ${quoted(scope)},`),
    "  ])",
    "",
    "  scope              = each.value",
    `  role_definition_id = azurerm_role_definition.${own}.role_definition_resource_id`,
    "  principal_id       = var.principal_id",
    '  principal_type     = "ServicePrincipal"',
    ...(role.condition === null
      ? []
      : [`  condition          = ${quoted(role.condition)}`, '  condition_version  = "2.0"']),
    "}",
  ];
}

/** `comments`: lines above everything. The principal is the identity's object id. */
export function terraformOf(rendered: Rendered, comments: readonly string[]): string {
  const lines = [
    ...comments.map((line) => `# ${line}`),
    "",
    'variable "principal_id" {',
    '  description = "The object id of the agent\'s managed identity."',
    "  type        = string",
    "}",
    ...rendered.roles.flatMap((role) => blocks(rendered, role)),
  ];
  return `${lines.join("\n")}\n`;
}
