/**
 * `bun run docs:refusals`: writes docs/REFUSALS.md from the closed union of refusals and what is said of each code.
 * test/policy/refusals.test.ts holds page and code together.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { REFUSAL_CODES } from "../policy/refusal.ts";
import { REMEDIES } from "../policy/remedies.ts";
import { ROOT } from "./command.ts";

export const PAGE = join(ROOT, "docs/REFUSALS.md");

/** What each stage asks, in the order in which a command meets them; the last ones are met by other things than commands. */
const STAGES: readonly (readonly [string, string])[] = [
  ["open", "Did a command key of the trust statement sign exactly these bytes? Looked at before the payload is."],
  ["parse", "Do the signed bytes say one thing only, with all claims of a command and no other?"],
  ["verify", "Is it for this agent, now, in this epoch, for the first time, and is the agent to act at all?"],
  ["match", "Would any rule of the owner's policy permit it in any state? Nothing has been read until here."],
  ["policy", "Is the policy itself in order, and does a rule permit it in the state that was found, at this time?"],
  ["artifact", "Is what a manifest is named by there, and is it what its SHA-256 says?"],
  ["resource", "Can what the rule names be read, and is nothing else at work on it?"],
  ["log", "Can what is about to be done be put on record?"],
  ["gate", "Does a provider do only what the permitting rule names? What is refused here ends the agent."],
  ["trust", "Is a trust statement the next one, signed by a key of the one before?"],
  [
    "approval",
    "Does a signature in the owner's folder count as somebody's approval? Entries `approval` hold these codes.",
  ],
];

export function refusalsPage(): string {
  const stageOf = (code: string): string => code.slice(0, code.indexOf("."));
  const unknown = REFUSAL_CODES.filter((code) => !STAGES.some(([stage]) => stage === stageOf(code)));
  if (unknown.length > 0) throw new Error(`these codes belong to no stage: ${unknown.join(", ")}`);
  const sections = STAGES.flatMap(([stage, asks]) => {
    const codes = REFUSAL_CODES.filter((code) => stageOf(code) === stage && REMEDIES[code].retired === undefined);
    const rows = codes.map((code) => row(code, REMEDIES[code].cause, REMEDIES[code].vendor, REMEDIES[code].owner));
    return [
      `## ${stage}`,
      "",
      asks,
      "",
      row("code", "cause", "the vendor", "the owner"),
      "|---|---|---|---|",
      ...rows,
      "",
    ];
  });
  const retired = REFUSAL_CODES.flatMap((code) => {
    const { cause, retired: why } = REMEDIES[code];
    return why === undefined ? [] : [row(code, cause, why)];
  });
  return [...HEAD, ...sections, ...RETIRED, ...retired, ""].join("\n");
}

const HEAD = [
  "<!-- Written by `bun run docs:refusals` from policy/refusal.ts and policy/remedies.ts. Do not edit it here. -->",
  "",
  "# Refusals",
  "",
  "Every way to say no: one closed list of codes, `<stage>.<what>`. A code is never reused. On a terminal a refusal says what cannot be",
  "done, the state that is the case, and what to do; an entry of the log holds the same with the rule that came closest and the field that failed.",
  "What was refused changed nothing.",
  "",
  "`reeve audit show --verbose` prints the owner's column beside each refusal. The stages are those of [DESIGN.md](DESIGN.md), section 3.",
  "",
];
const RETIRED = [
  "## Not said any more",
  "",
  "They are kept, for older logs may hold them.",
  "",
  row("code", "cause", "why it is not said"),
  "|---|---|---|",
];

function row(...cells: readonly string[]): string {
  const [first = "", ...rest] = cells;
  const name = first === "code" ? first : `\`${first}\``;
  return `| ${[name, ...rest].map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

if (import.meta.main) writeFileSync(PAGE, refusalsPage());
