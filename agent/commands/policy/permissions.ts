import { type Command, Option } from "commander";
import { MAX_ROLE_BYTES } from "../../../policy/limits.ts";
import type { Fault } from "../../../policy/permissions/arn.ts";
import { beyond } from "../../../policy/permissions/audit/beyond.ts";
import { readRole } from "../../../policy/permissions/audit/documents.ts";
import { holdingOf } from "../../../policy/permissions/audit/grants.ts";
import { auditJson, auditLines } from "../../../policy/permissions/audit/report.ts";
import { notesOf } from "../../../policy/permissions/notes.ts";
import { AWS_OPERATIONS } from "../../../policy/permissions/operations.ts";
import { awsPermissions, boundaryOf, type Rendered } from "../../../policy/permissions/render.ts";
import { documentOf } from "../../../policy/permissions/statement.ts";
import { iamText, terraformOf } from "../../../policy/permissions/terraform.ts";
import { complain, type PolicyText, policyAt, print, printJson, readFile } from "./read.ts";

type Options = {
  readonly format: "iam" | "terraform";
  readonly boundary?: true;
  readonly audit?: string;
  readonly role?: string;
  readonly json?: true;
};
type Named = PolicyText & { readonly rendered: Rendered };

const EXIT_USAGE = 2;
const EXIT_UNREADABLE = 3;

/** The file's least permissions; or what is in the way is said, and how to exit. */
function renderedAt(path: string, json: boolean): Named | null {
  const file = policyAt(path, json ? "json" : "text");
  // Also where its tests fail: 1 is kept for a role that goes beyond.
  process.exitCode = EXIT_UNREADABLE;
  if ("exit" in file) return null;
  const rendered = awsPermissions(file.policy, AWS_OPERATIONS);
  if (rendered === null) {
    const because = `the file's place is ${file.policy.place.cloud}, whose permissions this version does not know`;
    fail(`render the permissions of ${path}`, because, "Write place: { cloud: aws, account, region }.", json);
    return null;
  }
  if ("faults" in rendered) {
    showFaults(file, rendered.faults, json);
    return null;
  }
  process.exitCode = 0;
  return { ...file, rendered };
}

function fail(cannot: string, because: string, hint: string, json: boolean): void {
  if (json) printJson({ errors: [{ message: `Cannot ${cannot}: ${because}.`, hint }] });
  complain(`error: Cannot ${cannot}: ${because}.`);
  complain(`hint: ${hint}`);
}

function showFaults({ path, placeOf }: PolicyText, faults: readonly Fault[], json: boolean): void {
  const placed = faults.map((fault) => ({ ...fault, ...placeOf(fault.rule) }));
  if (json) printJson({ errors: placed.map(({ because: message, ...fault }) => ({ ...fault, message })) });
  for (const { rule, because, hint, line, column } of placed) {
    complain(`error: ${path}:${line}:${column}: Cannot render the rule ${rule}: ${because}.`);
    complain(`hint: ${hint}`);
  }
}

function render({ policy, digest, path, rendered }: Named, { format, boundary, json }: Options): void {
  const statements = boundary === true ? boundaryOf(rendered) : rendered.statements;
  const notes = notesOf(policy, rendered, statements, boundary === true);
  const name = `reeve-${policy.cluster}${boundary === true ? "-boundary" : ""}`;
  const head = `What ${path}, revision ${policy.revision}, ${digest}, needs on AWS.`;
  const hcl = () => terraformOf(name, statements, [head, ...notes]);
  if (json === true) {
    const { account, region, partition } = rendered.place;
    printJson({
      format,
      name,
      policy: { digest, revision: policy.revision },
      place: { cloud: "aws", partition, account, region },
      document: documentOf(statements),
      rules: Object.fromEntries(statements.map(({ sid, rules }) => [sid, rules])),
      ...(format === "terraform" ? { terraform: hcl() } : {}),
      notes,
    });
    return;
  }
  if (format === "terraform") {
    for (const line of hcl().trimEnd().split("\n")) print(line);
    return;
  }
  for (const line of iamText(statements).trimEnd().split("\n")) print(line);
  // Beside the document, which so stays what AWS takes.
  for (const note of notes) complain(`note: ${note}`);
}

function uncounted(denials: number): readonly string[] {
  if (denials === 0) return [];
  if (denials === 1) return ["1 denial has conditions. It is not counted: it may not apply."];
  return [`${denials} denials have conditions. They are not counted: they may not apply.`];
}

function audit({ rendered }: Named, path: string, { role, json }: Options): void {
  const file = readFile(path, MAX_ROLE_BYTES);
  const read =
    "unreadable" in file
      ? { because: file.unreadable, hint: "Name a file with a role's policies." }
      : file.bytes.length > MAX_ROLE_BYTES
        ? { because: `it is over ${MAX_ROLE_BYTES} bytes`, hint: "Print one role only." }
        : readRole(file.bytes, role ?? null);
  if ("because" in read) {
    process.exitCode = EXIT_UNREADABLE;
    fail(`audit ${path}`, read.because, read.hint, json === true);
    return;
  }
  const holding = holdingOf(read.documents);
  const found = beyond(holding, rendered.statements);
  const notes = [...read.notes, ...uncounted(holding.uncounted)];
  process.exitCode = found.findings.length === 0 ? 0 : 1;
  if (json === true) printJson(auditJson(found, notes));
  else for (const line of auditLines(found, notes)) print(line);
}

function permissions(path: string, options: Options): void {
  if (options.role !== undefined && options.audit === undefined) {
    process.exitCode = EXIT_USAGE;
    fail("name a role", "nothing is audited", "--role goes with --audit FILE.", options.json === true);
    return;
  }
  const file = renderedAt(path, options.json === true);
  if (file === null) return;
  if (options.audit === undefined) render(file, options);
  else audit(file, options.audit, options);
}

export function permissionsCommand(policy: Command): void {
  policy
    .command("permissions")
    .description("the least cloud permissions that the policy needs, or what an existing role has beyond them")
    .argument("<file>", "the policy file, whose place is on AWS")
    .addOption(new Option("--format <format>", "how to print").choices(["iam", "terraform"]).default("iam"))
    .option("--boundary", "print the permissions boundary for the agent's role")
    .addOption(
      new Option("--audit <file>", "a role's policies, as aws iam prints them: list what goes beyond").conflicts(
        "boundary",
      ),
    )
    .option("--role <name>", "which role, where the audited file holds several")
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExit codes: 0 printed, or nothing goes beyond · 1 the role goes beyond · 2 usage · 3 a file does not load",
    )
    .action(permissions);
}
