import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { ROOT } from "../command.ts";
import { escaped, item, sectionOf, verbatim } from "./roff.ts";

/** A page of the manual: `reeve.1` and its text. */
export type Page = { readonly name: string; readonly text: string };

type Around = { readonly version: string; readonly after: string; readonly see: readonly string[] };

/** A program's page, written from the very tree that reads its command line: no word of it is kept anywhere else. */
export function programPage(program: Command, { version, after, see }: Around): Page {
  const name = program.name();
  const parts = [
    title(name, 1, version),
    `.SH NAME\n${escaped(name)} \\- ${escaped(program.description())}\n`,
    `.SH SYNOPSIS\n.B ${escaped(name)}\n.I command\n.RI [ options ]\n`,
    `.SH OPTIONS\n${optionsOf(program)}`,
    `.SH COMMANDS\n${commandsOf(program).map(commandSection).join("")}`,
    after,
    `.SH SEE ALSO\n${see.map(escaped).join(",\n")}\n`,
  ];
  return { name: `${name}.1`, text: parts.join("") };
}

/** The pages about the files that the owner writes, from the sections of docs/ that say it. */
export function filePages(version: string): Page[] {
  const [operations, policy] = [docsPage("OPERATIONS.md"), docsPage("POLICY.md")];
  const config = [
    title("reeve.yaml", 5, version),
    ".SH NAME\nreeve.yaml \\- the config of the agent reeve\n",
    `.SH FIELDS\n${sectionOf(operations, "## The config")}`,
    `.SH FILES\n${sectionOf(operations, "## Paths")}`,
    ".SH SEE ALSO\nreeve(1),\nreeve\\-policy(5)\n",
  ];
  const rules = [
    title("reeve-policy", 5, version),
    ".SH NAME\nreeve\\-policy \\- what a vendor may do in this account: policy.yaml in the owner's folder\n",
    `.SH EXAMPLE\n${sectionOf(policy, "## The whole of it, in one example")}`,
    `.SH SPELLING\n${sectionOf(policy, "## How it is written")}`,
    `.SH FIELDS OF THE FILE\n${sectionOf(policy, "## Fields of the file")}`,
    `.SH FIELDS OF A RULE\n${sectionOf(policy, "## Fields of a rule")}`,
    `.SH APPROVALS\n${sectionOf(policy, "## Approvals")}`,
    `.SH TESTS\n${sectionOf(policy, "## Tests in the file")}`,
    ".SH SEE ALSO\nreeve(1),\nreeve.yaml(5)\n",
  ];
  return [
    { name: "reeve.yaml.5", text: config.join("") },
    { name: "reeve-policy.5", text: rules.join("") },
  ];
}

export function exitCodes(): string {
  return `.SH EXIT STATUS\n${sectionOf(docsPage("OPERATIONS.md"), "## Exit codes")}`;
}

function docsPage(name: string): string {
  return readFileSync(join(ROOT, "docs", name), "utf8");
}

function title(name: string, section: number, version: string): string {
  return `.TH ${escaped(name).toUpperCase()} ${section} "" "reeve ${version}" "reeve"\n`;
}

/** Every command that can be carried out, depth first; `help` is commander's own. */
function commandsOf(command: Command): Command[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((child) => child.name() !== "help")
    .flatMap((child) => (child.commands.length === 0 ? [child] : [child, ...commandsOf(child)]));
}

function commandSection(command: Command): string {
  const help = command.createHelp();
  const operands = help.visibleArguments(command);
  return [
    `.SS ${escaped(help.commandUsage(command))}\n`,
    `${escaped(help.commandDescription(command))}\n`,
    ...operands.map((operand) =>
      item(`\\fI${escaped(help.argumentTerm(operand))}\\fR`, escaped(help.argumentDescription(operand))),
    ),
    optionsOf(command),
    textAfter(command),
  ].join("");
}

function optionsOf(command: Command): string {
  const help = command.createHelp();
  return help
    .visibleOptions(command)
    .filter(({ long }) => command.parent === null || long !== "--help")
    .map((option) => item(`\\fB${escaped(help.optionTerm(option))}\\fR`, escaped(help.optionDescription(option))))
    .join("");
}

/** What the command's own help says below its options. */
function textAfter(command: Command): string {
  let whole = "";
  command.configureOutput({
    writeOut(text) {
      whole += text;
    },
  });
  command.outputHelp();
  const after = whole.slice(command.helpInformation().length);
  return after.trim() === "" ? "" : verbatim(after);
}
