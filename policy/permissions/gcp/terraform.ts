import type { Binding } from "./bindings.ts";
import type { Rendered, Role } from "./render.ts";

/** The same roles as Terraform's HCL, each bound to the agent's service account on the resources that the rules name. */

/** A name of Google's has none of what HCL would take apart: looked at again here. */
function quoted(text: string): string {
  if (/["\\\p{Cc}]|[$%&]\{/u.test(text)) throw new Error("a name that HCL would take apart");
  return `"${text}"`;
}

function roleLines(project: string, { id, title, permissions }: Role): string[] {
  return [
    "",
    `resource "google_project_iam_custom_role" ${quoted(id)} {`,
    `  project = ${quoted(project)}`,
    `  role_id = ${quoted(id)}`,
    `  title   = ${quoted(title)}`,
    "  permissions = [",
    ...permissions.map((permission) => `    ${quoted(permission)},`),
    "  ]",
    "}",
  ];
}

/** Terraform's own words for where a role is bound. */
function target(
  { scope, resource }: Binding,
  project: string,
): { readonly kind: string; readonly lines: readonly string[] } {
  switch (scope) {
    case "project":
    case "account":
      return { kind: "google_project_iam_member", lines: [`  project = ${quoted(project)}`] };
    case "pool":
      return { kind: "google_privateca_ca_pool_iam_member", lines: [`  ca_pool = ${quoted(resource)}`] };
    case "bucket":
      return {
        kind: "google_storage_bucket_iam_member",
        lines: [`  bucket = ${quoted(resource.slice("gs://".length))}`],
      };
    case "zone": {
      const zone = resource.slice(resource.lastIndexOf("/") + 1);
      const lines = [`  project      = ${quoted(project)}`, `  managed_zone = ${quoted(zone)}`];
      return { kind: "google_dns_managed_zone_iam_member", lines };
    }
  }
}

/** CEL holds quotes of its own, which HCL takes escaped. */
function conditionLines({ condition }: Binding): string[] {
  if (condition === null) return [];
  const text = condition.expression.replaceAll('"', '\\"');
  return ["", "  condition {", `    title      = ${quoted(condition.title)}`, `    expression = "${text}"`, "  }"];
}

function bindingLines(project: string, { id, bindings }: Role): string[] {
  return bindings.flatMap((binding, at) => {
    const { kind, lines } = target(binding, project);
    const label = at === 0 ? id : `${id}_${at + 1}`;
    const wide = binding.scope === "zone" ? "        " : binding.scope === "bucket" ? "  " : "   ";
    return [
      "",
      `# ${binding.rules.length === 0 ? "The owner's bucket." : binding.rules.join(", ")}`,
      `resource ${quoted(kind)} ${quoted(label)} {`,
      ...lines,
      `  role${wide} = google_project_iam_custom_role.${id}.id`,
      `  member${wide.slice(2)} = "serviceAccount:\${var.service_account}"`,
      ...conditionLines(binding),
      "}",
    ];
  });
}

/** `comments`: lines above everything. */
export function terraformOf({ place, roles }: Rendered, comments: readonly string[]): string {
  const lines = [
    ...comments.map((line) => `# ${line}`),
    "",
    'variable "service_account" {',
    '  description = "Email of the service account that the agent\'s machine runs as."',
    "  type        = string",
    "}",
    ...roles.flatMap((role) => [...roleLines(place.project, role), ...bindingLines(place.project, role)]),
  ];
  return `${lines.join("\n")}\n`;
}
