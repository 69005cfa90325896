import { type Command, Option } from "commander";
import type { Difference } from "../../../policy/review/difference.ts";
import { notesOf } from "../../../policy/review/notes.ts";
import { reviewJson, reviewLines } from "../../../policy/review/report.ts";
import { asksForMore, type Review, review } from "../../../policy/review/review.ts";
import { type Named, type Said, said } from "../../../policy/review/said.ts";
import { annotation } from "./github.ts";
import { type PolicyText, policyAt, print, printJson } from "./read.ts";

type Options = { readonly mine: string; readonly json?: true; readonly format: "text" | "github" };

function message({ sentence, other, example }: Said): string {
  const lines = [
    `${sentence}.`,
    ...(other === null ? [] : [other]),
    ...(example === null ? [] : [`example: ${example.send}`, `given: ${JSON.stringify(example.given)}`]),
  ];
  return lines.join("\n");
}

function placeIn(file: PolicyText, { rule, together }: Difference): { readonly line: number; readonly col: number } {
  const { line, column } = file.placeOf(rule ?? together[0] ?? "");
  return { line, col: column };
}

/** Theirs is the file that a pull request changes: all is said of its lines; what it permits less is a notice. */
function annotations(
  reviewed: Review,
  theirs: PolicyText,
  named: { readonly theirs: Named; readonly mine: Named },
): readonly string[] {
  const file = theirs.path;
  return [
    ...said(reviewed, named.theirs, named.mine).map((one) =>
      one.side === "theirs"
        ? annotation("error", { file, ...placeIn(theirs, one.difference), title: "permits more" }, message(one))
        : annotation("notice", { file, line: 1, col: 1, title: "permits less" }, message(one)),
    ),
    ...notesOf(theirs.policy, named.mine.policy, { theirs: named.theirs.name, mine: named.mine.name }).map(
      ({ field, text, more }) => annotation(more ? "error" : "notice", { file, line: 1, col: 1, title: field }, text),
    ),
  ];
}

function reviewFiles(path: string, options: Options): void {
  const format = options.json === true ? "json" : options.format;
  const [theirs, mine] = [policyAt(path, format), policyAt(options.mine, format)];
  if ("exit" in theirs || "exit" in mine) {
    process.exitCode = 3;
    return;
  }
  const named = { theirs: { policy: theirs.policy, name: path }, mine: { policy: mine.policy, name: options.mine } };
  const reviewed = review(theirs.policy, mine.policy);
  process.exitCode = asksForMore(reviewed) ? 1 : 0;
  if (format === "json") {
    const file = ({ path: name, digest, policy }: PolicyText) => ({ file: name, digest, revision: policy.revision });
    printJson({ theirs: file(theirs), mine: file(mine), ...reviewJson(reviewed, named.theirs, named.mine) });
    return;
  }
  if (format === "github") for (const line of annotations(reviewed, theirs, named)) print(line);
  else for (const line of reviewLines(reviewed, named.theirs, named.mine)) print(line);
}

export function reviewCommand(policy: Command): void {
  policy
    .command("review")
    .description("exactly what another policy permits beyond yours, and the other way round, each with an example")
    .argument("<theirs>", "the other policy file, such as the vendor's proposal")
    .requiredOption("--mine <file>", "your policy file")
    .option("--json", "print one JSON object")
    .addOption(
      new Option("--format <format>", "how to print").choices(["text", "github"]).default("text").conflicts("json"),
    )
    .addHelpText(
      "after",
      "\nExit codes: 0 it asks for no more than yours · 1 it asks for more · 2 usage · 3 one of the two does not load",
    )
    .action(reviewFiles);
}
