import { type Document, documentOf, type Statement } from "./statement.ts";

/** The same statements as Terraform's HCL: a policy document and the managed policy made of it. */

/** An HCL string. What could begin a template was refused before; a backslash or quote cannot stand in any name of a policy file. */
function quoted(text: string): string {
  if (/["\\\p{Cc}]|[$%&]\{/u.test(text)) throw new Error("a name that HCL would take apart");
  return `"${text}"`;
}

/** One line where it fits, else one value a line: what `terraform fmt` leaves alone. */
function list(name: string, values: readonly string[], indent: string): string[] {
  const line = `${indent}${name} = [${values.map(quoted).join(", ")}]`;
  if (line.length <= 120) return [line];
  return [`${indent}${name} = [`, ...values.map((value) => `${indent}  ${quoted(value)},`), `${indent}]`];
}

function block({ sid, effect, about, actions, resources, conditions, rules }: Statement): string[] {
  return [
    "",
    ...(rules.length === 0 ? [] : [`  # ${rules.join(", ")}`]),
    "  statement {",
    `    sid    = ${quoted(sid)}`,
    `    effect = ${quoted(effect)}`,
    "",
    ...list(about === "these" ? "actions" : "not_actions", actions, "    "),
    "",
    ...list("resources", resources, "    "),
    ...conditions.flatMap(({ test, key, values }) => [
      "",
      "    condition {",
      `      test     = ${quoted(test)}`,
      `      variable = ${quoted(key)}`,
      "",
      ...list("values", values, "      "),
      "    }",
    ]),
    "  }",
  ];
}

/** `name`: of the managed policy, in letters, digits and `-`. `comments`: lines above everything. */
export function terraformOf(name: string, statements: readonly Statement[], comments: readonly string[]): string {
  const label = quoted(name.replaceAll("-", "_"));
  const lines = [
    ...comments.map((line) => `# ${line}`),
    "",
    `data "aws_iam_policy_document" ${label} {`,
    '  version = "2012-10-17"',
    ...statements.flatMap(block),
    "}",
    "",
    `resource "aws_iam_policy" ${label} {`,
    `  name   = ${quoted(name)}`,
    `  policy = data.aws_iam_policy_document.${name.replaceAll("-", "_")}.json`,
    "}",
  ];
  return `${lines.join("\n")}\n`;
}

/** The document as a person reads it. */
export function iamText(statements: readonly Statement[]): string {
  const document: Document = documentOf(statements);
  return `${JSON.stringify(document, null, 2)}\n`;
}
