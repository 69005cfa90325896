import { type Command, Option } from "commander";
import { MAX_ROLE_BYTES } from "../../../policy/limits.ts";
import { auditJson, auditLines } from "../../../policy/permissions/audit/report.ts";
import type { Cloud, Fault, Permissions } from "../../../policy/permissions/cloud.ts";
import { CLOUD_NAMES, cloudOf, FORMATS } from "../../../policy/permissions/clouds.ts";
import { complain, type PolicyText, policyAt, print, printJson, readFile } from "./read.ts";

type Options = {
  /** One of some cloud's; the file's own cloud must have it. */
  readonly format?: string;
  readonly boundary?: true;
  readonly owner?: string;
  readonly audit?: string;
  readonly role?: string;
  readonly json?: true;
};
type Named = PolicyText & { readonly cloud: Cloud; readonly permissions: Permissions };

const EXIT_USAGE = 2;
const EXIT_UNREADABLE = 3;

/** The file's least permissions; or what is in the way is said, and how to exit. */
function renderedAt(path: string, owner: string | null, json: boolean): Named | null {
  const file = policyAt(path, json ? "json" : "text");
  // Also where its tests fail: 1 is kept for a role that goes beyond.
  process.exitCode = EXIT_UNREADABLE;
  if ("exit" in file) return null;
  const cloud = cloudOf(file.policy.place);
  if (cloud === null) {
    const because = `the file's place is ${file.policy.place.cloud}, whose permissions this version does not know`;
    const hint = `This version knows ${CLOUD_NAMES.join(", ")}: write place: { cloud: aws, account, region }.`;
    fail(`render the permissions of ${path}`, because, hint, json);
    return null;
  }
  if (owner !== null && !cloud.bucket.form.test(owner)) {
    process.exitCode = EXIT_USAGE;
    fail(`grant the bucket ${owner}`, `the file's place is on ${cloud.title}`, `Write ${cloud.bucket.words}.`, json);
    return null;
  }
  const rendered = cloud.render(file.policy, owner);
  if ("faults" in rendered) {
    showFaults(file, rendered.faults, json);
    return null;
  }
  process.exitCode = 0;
  return { ...file, cloud, permissions: rendered };
}

/** What was asked for is none of the file's cloud's: said, and how to exit. */
function foreign({ cloud, path }: Named, { format, boundary, json }: Options): boolean {
  const formats = cloud.formats.join(", ");
  const other = format !== undefined && !cloud.formats.includes(format);
  if (!other && (boundary !== true || cloud.boundary)) return false;
  process.exitCode = EXIT_USAGE;
  if (other)
    fail(
      `print ${path} as ${format}`,
      `its place is on ${cloud.title}`,
      `For ${cloud.title}: ${formats}.`,
      json === true,
    );
  else fail(`print a boundary for ${path}`, `${cloud.title} has none`, "Leave --boundary out.", json === true);
  return true;
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

function render(file: Named, { format = file.cloud.formats[0], boundary, json }: Options): void {
  const { policy, digest, path, permissions } = file;
  const head = `What ${path}, revision ${policy.revision}, ${digest}, needs on ${file.cloud.title}.`;
  const { name, text, notes, noted, json: more } = permissions.print({ format, boundary: boundary === true, head });
  if (json === true) {
    printJson({ format, name, policy: { digest, revision: policy.revision }, ...more, notes });
    return;
  }
  for (const line of text.trimEnd().split("\n")) print(line);
  // Beside the document, which so stays what the cloud takes.
  if (!noted) for (const note of notes) complain(`note: ${note}`);
}

function audit({ permissions }: Named, path: string, { role, json }: Options): void {
  const file = readFile(path, MAX_ROLE_BYTES);
  const audited =
    "unreadable" in file
      ? { because: file.unreadable, hint: "Name a file with a role's permissions." }
      : file.bytes.length > MAX_ROLE_BYTES
        ? { because: `it is over ${MAX_ROLE_BYTES} bytes`, hint: "Print one role only." }
        : permissions.audit(file.bytes, role ?? null);
  if ("because" in audited) {
    process.exitCode = EXIT_UNREADABLE;
    fail(`audit ${path}`, audited.because, audited.hint, json === true);
    return;
  }
  process.exitCode = audited.excess.length === 0 ? 0 : 1;
  if (json === true) printJson(auditJson(audited));
  else for (const line of auditLines(audited)) print(line);
}

function permissions(path: string, options: Options): void {
  if (options.role !== undefined && options.audit === undefined) {
    process.exitCode = EXIT_USAGE;
    fail("name a role", "nothing is audited", "--role goes with --audit FILE.", options.json === true);
    return;
  }
  const file = renderedAt(path, options.owner ?? null, options.json === true);
  if (file === null || foreign(file, options)) return;
  if (options.audit === undefined) render(file, options);
  else audit(file, options.audit, options);
}

export function permissionsCommand(policy: Command): void {
  policy
    .command("permissions")
    .description("the least cloud permissions that the policy needs, or what an existing role has beyond them")
    .argument("<file>", "the policy file, whose place is in a cloud")
    .addOption(
      new Option("--format <format>", "how to print; without it as the place's cloud takes it").choices(FORMATS),
    )
    .option("--boundary", "print the permissions boundary for the agent's role (AWS)")
    .addOption(
      new Option("--audit <file>", "a role, as the cloud's own tool prints it: list what goes beyond").conflicts(
        "boundary",
      ),
    )
    .option("--owner <bucket>", "the owner's folder, when it is a bucket: what the agent needs of it, too")
    .option("--role <name>", "which role, where the audited file holds several")
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExit codes: 0 printed, or nothing goes beyond · 1 the role goes beyond · 2 usage · 3 a file does not load",
    )
    .action(permissions);
}
