import type { Command } from "commander";
import { type Asked, NOBODY } from "../../../policy/asked.ts";
import { parseTime } from "../../../policy/duration.ts";
import {
  type Explanation,
  explain,
  type FieldSays,
  type Given,
  type RuleSays,
} from "../../../policy/explain/explain.ts";
import { type GivenState, parseAsk, parseGiven } from "../../../policy/explain/given.ts";
import type { At } from "../../../policy/match.ts";
import type { Policy } from "../../../policy/policy.ts";
import { askedOf } from "../../../policy/tests.ts";
import { cannotOf } from "../../../policy/words.ts";
import type { Host } from "../../host/host.ts";
import { MAX_COMMAND_BYTES } from "../../limits.ts";
import { CommandAsks, CommandClaims } from "../../wire/command.ts";
import { Complaint } from "../config.ts";
import { policyAt, print, printJson, readFile } from "./read.ts";

type Options = { readonly given?: string; readonly at?: string; readonly json?: true };
type Question = { readonly asked: Asked; readonly at: Partial<At> };

const EXITS = { allowed: 0, waits: 8, depends: 8, refused: 1 } as const;

function jsonIn(text: string, cannot: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Complaint(cannot, "it is not JSON", "Quote names and text with double quotes.", 3);
  }
}

function textIn(path: string): string {
  const file = readFile(path, MAX_COMMAND_BYTES);
  if ("unreadable" in file) throw new Complaint(`read ${path}`, file.unreadable, "Name a file.", 3);
  if (file.bytes.length > MAX_COMMAND_BYTES)
    throw new Complaint(`read ${path}`, "it is too long for a command", "Name another file.", 3);
  return new TextDecoder().decode(file.bytes);
}

/** A command's claims, `{action, args}`, or what a policy's test asks. */
function questionIn(path: string, given: GivenState | null): Question {
  const cannot = `read the command ${path}`;
  const value = jsonIn(textIn(path), cannot);
  const claims = CommandClaims.safeParse(value);
  if (claims.success) {
    const { iss, aud, action, args, dry_run } = claims.data;
    const cluster = /^spiffe:\/\/[^/]+\/cluster\/([^/]+)\/agent$/.exec(aud)?.[1];
    // The schema holds action and args together.
    const asked = { action, args } as Asked;
    return { asked, at: { vendor: iss, dryRun: dry_run, ...(cluster === undefined ? {} : { cluster }) } };
  }
  const asks = CommandAsks.safeParse(value);
  if (asks.success) return { asked: asks.data, at: {} };
  const ask = parseAsk(value);
  if (ask === null) {
    throw new Complaint(
      cannot,
      "it is not a command",
      "Give its claims, { action, args }, or what a policy's test has as ask.",
      3,
    );
  }
  return { asked: askedOf(ask, given?.made ?? "in-cluster"), at: {} };
}

function stateIn(given: string, policy: Policy): GivenState {
  const cannot = "read what was given";
  const inline = given.trimStart().startsWith("{");
  const value = jsonIn(inline ? given : textIn(given), cannot);
  const state = parseGiven(value);
  if ("fault" in state) throw new Complaint(cannot, state.fault, "Such as --given '{\"count\":7}'.", 3);
  const rules = new Set(policy.rules.map(({ id }) => id));
  const unknown = [...state.history(0).intents.keys()].find((id) => !rules.has(id));
  if (unknown !== undefined)
    throw new Complaint(cannot, `there is no rule ${unknown}`, "`used` names rules of the file.", 3);
  const stranger = [...state.approvals(0).by].find((name) => !Object.hasOwn(policy.people, name));
  if (stranger !== undefined)
    throw new Complaint(cannot, `${stranger} is not one of people`, "`approved` names people of the file.", 3);
  return state;
}

function timeFor(options: Options, state: GivenState | null, host: Host): number {
  if (options.at === undefined) return state?.at ?? host.clock.now();
  const at = parseTime(options.at);
  if (at === null)
    throw new Complaint("take the time", `${options.at} is not a time`, "Such as --at 2026-11-24T09:00:00Z.", 2);
  return at;
}

function fieldLine(rule: string, { field, verdict, asked, limit, because }: FieldSays): string {
  const said = limit.startsWith(`${field}: `) ? limit.slice(field.length + 2) : limit;
  const parts = [
    verdict.padEnd(9),
    field.padEnd(8),
    ...(asked === "" ? [] : [`asked ${asked}`]),
    ...(said === "" ? [] : [`limit ${said}`]),
    ...(because === "" ? [] : [because.replace(`the customer's rule ${rule} `, "")]),
  ];
  return `  ${parts.join("   ").trimEnd()}`;
}

function ruleLines({ rule, verdict, fields }: RuleSays): readonly string[] {
  return [
    "",
    `${rule} ${verdict === "not known" ? "depends on what is not known" : verdict}`,
    ...fields.map((field) => fieldLine(rule, field)),
  ];
}

const WORDS = {
  allowed: "allowed",
  waits: "waits for approval",
  refused: "refused",
  depends: "depends on the state, which was not given",
} as const;

function show(asked: Asked, { decision, rule, refusal, rules, otherResources }: Explanation): void {
  const by = rule === null ? "" : decision === "allowed" || decision === "waits" ? `, by ${rule}` : `, closest ${rule}`;
  print(`${WORDS[decision]}: ${cannotOf(asked)}${by}`);
  if (refusal !== null) {
    print(`  ${refusal.because}`);
    print(`  code ${refusal.code}   hint: ${refusal.hint}`);
  }
  for (const line of rules.flatMap(ruleLines)) print(line);
  if (otherResources.length > 0) {
    print("");
    print(`For other resources: ${otherResources.join(", ")}`);
  }
}

function explainFile(path: string, command: string, options: Options, host: Host): void {
  const file = policyAt(path, options.json === true ? "json" : "text");
  if ("exit" in file) {
    process.exitCode = 3;
    return;
  }
  const { policy } = file;
  const state = options.given === undefined ? null : stateIn(options.given, policy);
  const { asked, at } = questionIn(command, state);
  if (state !== null && state.action !== asked.action) {
    throw new Complaint(
      "explain it",
      `what was given is no state for ${asked.action}`,
      "Compare with the tests in docs/POLICY.md.",
      3,
    );
  }
  const now = timeFor(options, state, host);
  const own: At = {
    vendor: policy.vendor,
    cluster: policy.cluster,
    place: policy.place,
    ownGroups: [],
    dryRun: false,
  };
  const given: Given = {
    found: state?.found(asked, policy) ?? null,
    history: state?.history(now) ?? { intents: new Map(), since: null, revision: 0 },
    approvals: state?.approvals(now) ?? NOBODY,
    now,
  };
  const explanation = explain(policy, asked, { ...own, ...at }, given);
  process.exitCode = EXITS[explanation.decision];
  if (options.json === true) printJson({ digest: file.digest, ...explanation });
  else show(asked, explanation);
}

export function explainCommand(policy: Command, host: Host): void {
  policy
    .command("explain")
    .description("the decision about a command, rule by rule and field by field")
    .argument("<file>", "the policy file")
    .argument("<command>", "a JSON file: a command's claims, { action, args }, or what a policy's test asks")
    .option(
      "--given <state>",
      'what was found, as JSON or a file of it: {"count":7}, and where wanted at, used, approved, waited, log_since',
    )
    .option("--at <time>", "when, such as 2026-11-24T09:00:00Z (default: what was given, else now)")
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExit codes: 0 allowed · 1 refused · 2 usage · 3 the file, the command or the state cannot be read · 8 it waits, or depends on a state that was not given",
    )
    .action((path: string, command: string, options: Options) => explainFile(path, command, options, host));
}
