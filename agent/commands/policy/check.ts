import type { Command } from "commander";
import { Option } from "commander";
import { sentences, warnings } from "../../../policy/sentences.ts";
import type { Host } from "../../host/host.ts";
import { Complaint, DEFAULT_CONFIG } from "../config.ts";
import { annotation } from "./github.ts";
import { install } from "./install.ts";
import { type Format, type PolicyText, policyAt, print, printJson } from "./read.ts";

export type CheckOptions = {
  readonly json?: true;
  readonly format: "text" | "github";
  readonly install?: true;
  readonly config?: string;
  readonly owner?: string;
  readonly yes?: true;
};
export type PolicyDeps = {
  readonly host: Host;
  /** Whether there is a terminal to ask on. */
  readonly interactive: boolean;
  confirm(question: string): Promise<boolean>;
};

/** The rule that a warning begins with; "" for one about the file. */
function ruleIn(warning: string, { policy }: PolicyText): string {
  return policy.rules.find(({ id }) => warning.startsWith(`${id}: `))?.id ?? "";
}

function show(file: PolicyText, format: Format): void {
  const { policy, digest } = file;
  const tests = policy.tests.length;
  const said = { sentences: sentences(policy), warnings: warnings(policy) };
  if (format === "json") {
    printJson({ valid: true, digest, revision: policy.revision, tests, ...said });
    return;
  }
  for (const sentence of said.sentences) print(sentence);
  for (const warning of said.warnings) {
    const { line, column } = file.placeOf(ruleIn(warning, file));
    if (format === "github") {
      print(annotation("warning", { file: file.path, line, col: column, title: "policy check" }, warning));
    } else print(`warning: ${warning}`);
  }
  print(digest);
  print(`${tests} tests passed`);
}

async function check(path: string, options: CheckOptions, deps: PolicyDeps): Promise<void> {
  const format = options.json === true ? "json" : options.format;
  if (options.install !== true && (options.config ?? options.owner ?? options.yes) !== undefined) {
    throw new Complaint(`check ${path}`, "--config, --owner and --yes go with --install", "Say --install too.", 2);
  }
  const file = policyAt(path, format);
  if ("exit" in file) {
    process.exitCode = file.exit;
    return;
  }
  if (options.install !== true) show(file, format);
  else await install(file, options, deps);
}

/** Exit codes: 0 the file loads (and is installed), 1 its tests fail or it may not be installed, 2 usage, 3 unreadable or invalid, 4 permission. */
export function checkCommand(policy: Command, deps: PolicyDeps): void {
  policy
    .command("check")
    .description("run the file's tests and print it as sentences, with warnings; --install puts it in force")
    .argument("<file>", "the policy file")
    .option("--json", "print one JSON object")
    .addOption(
      new Option("--format <format>", "how to print").choices(["text", "github"]).default("text").conflicts("json"),
    )
    .option("--install", "show what changes, ask, and replace the installed file")
    .addOption(
      new Option("--config <file>", `the agent's config, which names the owner's folder (default: ${DEFAULT_CONFIG})`),
    )
    .addOption(new Option("--owner <folder>", "the owner's folder itself").conflicts("config"))
    .option("--yes", "do not ask")
    .action((path: string, options: CheckOptions) => check(path, options, deps));
}
