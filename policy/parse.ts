import { createHash } from "node:crypto";
import type { z } from "zod";
import { MAX_POLICY_BYTES, MAX_POLICY_ERRORS, MAX_POLICY_ITEMS } from "./limits.ts";
import { indexed, type Policy, PolicyFile } from "./policy.ts";
import type { RefusalCode } from "./refusal.ts";
import { runTests } from "./tests.ts";
import { type Path, type StrictYaml, strictYaml } from "./yaml.ts";

export type PolicyError = {
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** `rules[0].count.max`; "" for the file. */
  readonly path: string;
  readonly code: RefusalCode;
  readonly message: string;
  readonly hint: string;
};
export type ParsedPolicy =
  /** `digest`: `sha256:` and lower-case hex, of the file's bytes. */
  { readonly policy: Policy; readonly digest: string } | { readonly errors: readonly PolicyError[] };

const COMPARE = "Compare with docs/POLICY.md, or run `reeve policy schema`.";

function pathText(path: Path): string {
  return path.reduce<string>(
    (text, step) => (typeof step === "number" ? `${text}[${step}]` : `${text}${text === "" ? "" : "."}${String(step)}`),
    "",
  );
}

function wholeFile(message: string, hint: string, line = 1, column = 1): PolicyError {
  return { line, column, path: "", code: "policy.invalid", message, hint };
}

/** UTF-8 text of which a reader sees every character; anything else is an error at its place. */
function textOf(bytes: Uint8Array): { text: string } | { error: PolicyError } {
  if (bytes.length === 0)
    return { error: wholeFile("the file is empty", "A policy without rules still names every field.") };
  if (bytes.length > MAX_POLICY_BYTES) {
    return { error: wholeFile(`the file is over ${MAX_POLICY_BYTES} bytes`, "Take out what is not needed.") };
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { error: wholeFile("the file is not UTF-8", "Save it as UTF-8.") };
  }
  const hidden = /[^\P{Cc}\n]|\p{Cf}|\p{Zl}|\p{Zp}/u.exec(text);
  if (hidden === null) return { text };
  const before = text.slice(0, hidden.index).split("\n");
  const [line, column] = [before.length, (before.at(-1)?.length ?? 0) + 1];
  const char = hidden[0];
  if (char === "\r")
    return { error: wholeFile("a carriage return (CRLF)", "Save it with line feeds only.", line, column) };
  if (char === "\uFEFF")
    return { error: wholeFile("a byte order mark", "Save it as UTF-8 without BOM.", line, column) };
  const code = (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return {
    error: wholeFile(`an invisible character U+${code}`, "Take it out: what is read is what is judged.", line, column),
  };
}

type Issue = z.core.$ZodIssue;
type Located = { readonly issue: Issue; readonly path: Path };

/** Of a union's branches the one that was meant: it disagrees least, above all not about what kind of thing it is. */
function flatten(issue: Issue, before: Path): Located[] {
  const path = [...before, ...issue.path];
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return [{ issue, path }];
  const cost = (branch: readonly Issue[]): number =>
    branch.reduce((sum, each) => {
      const kind = each.path.length === 0 && (each.code === "invalid_type" || each.code === "invalid_value");
      return sum + (kind || each.path.at(-1) === "action" ? 1000 : 1);
    }, 0);
  const best = issue.errors.reduce((a, b) => (cost(b) < cost(a) ? b : a));
  return best.flatMap((each) => flatten(each, path));
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, step) =>
      typeof inner === "object" && inner !== null && Object.hasOwn(inner, step)
        ? (inner as Record<PropertyKey, unknown>)[step]
        : undefined,
    value,
  );
}

function errorsOf(located: Located, yaml: StrictYaml): PolicyError[] {
  const { issue, path } = located;
  const error = (
    where: Path,
    position: { line: number; column: number },
    message: string,
    hint: string,
  ): PolicyError => ({
    ...position,
    path: pathText(where),
    code: "policy.invalid",
    message,
    hint,
  });
  if (issue.code === "unrecognized_keys") {
    return issue.keys
      .slice(0, MAX_POLICY_ERRORS)
      .map((key) => error([...path, key], yaml.keyPlace(path, key), `unknown field ${JSON.stringify(key)}`, COMPARE));
  }
  const value = at(yaml.value, path);
  const name = String(path.at(-1) ?? "the file");
  const place = yaml.place(path);
  if (value === undefined) {
    return [
      error(path, place, `${name} is missing`, "Every field is required: what is not to be limited is written out."),
    ];
  }
  if (name === "allow" && path[0] === "rules") {
    return [error(path, place, "allow is not an action", "Write scale, issue-certificate, update-dns or deploy.")];
  }
  const wildcard = typeof value === "string" && value.includes("*");
  const hint = wildcard ? "No wildcard can be written in a policy: write the exact name, a list, or below:." : COMPARE;
  return [error(path, place, `${pathText(path) || "the file"}: ${issue.message}`, hint)];
}

/** Parses a policy's bytes without running its tests. Every error has its place. Never throws on bad input. */
export function parsePolicy(bytes: Uint8Array): ParsedPolicy {
  const parsed = parseFile(bytes);
  return "errors" in parsed ? parsed : { policy: parsed.policy, digest: parsed.digest };
}

/** Looked at before each item is: a hostile file is not to cost more than an honest one. */
function tooLong(value: unknown, name: string): boolean {
  const list = at(value, [name]);
  return Array.isArray(list) && list.length > MAX_POLICY_ITEMS;
}

function parseFile(
  bytes: Uint8Array,
): { policy: Policy; digest: string; yaml: StrictYaml } | { errors: readonly PolicyError[] } {
  const read = textOf(bytes);
  if ("error" in read) return { errors: [read.error] };
  const yaml = strictYaml(read.text);
  if (yaml.faults.length > 0) {
    const errors = yaml.faults.map((fault) => ({
      ...yaml.positionOf(fault.offset),
      path: pathText(fault.path),
      code: "policy.invalid" as const,
      message: fault.message,
      hint: fault.hint,
    }));
    return { errors: errors.slice(0, MAX_POLICY_ERRORS) };
  }
  const long = (["rules", "tests"] as const).find((name) => tooLong(yaml.value, name));
  if (long !== undefined) {
    const many = `${long} holds more than ${MAX_POLICY_ITEMS} of them`;
    const { line, column } = yaml.place([long]);
    return { errors: [{ ...wholeFile(many, "Nobody reads so many: write fewer.", line, column), path: long }] };
  }
  const checked = PolicyFile.safeParse(yaml.value);
  if (!checked.success) {
    const issues = checked.error.issues.slice(0, MAX_POLICY_ERRORS);
    const errors = issues.flatMap((issue) => flatten(issue, [])).flatMap((each) => errorsOf(each, yaml));
    return { errors: errors.sort((a, b) => a.line - b.line || a.column - b.column).slice(0, MAX_POLICY_ERRORS) };
  }
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  return { policy: indexed({ ...checked.data, digest }), digest, yaml };
}

/** What decisions are made by: a policy that parses and whose own tests pass. Never throws on bad input. */
export function loadPolicy(bytes: Uint8Array): ParsedPolicy {
  const parsed = parseFile(bytes);
  if ("errors" in parsed) return parsed;
  const failures = runTests(parsed.policy);
  if (failures.length === 0) return { policy: parsed.policy, digest: parsed.digest };
  const errors = failures.slice(0, MAX_POLICY_ERRORS).map((failure) => ({
    ...parsed.yaml.place(["tests", failure.test]),
    path: `tests[${failure.test}]`,
    code: "policy.tests-fail" as const,
    message: `expected ${failure.expected}, decided ${failure.decided}`,
    hint: "Correct the rule or the test; a file whose tests fail does not load.",
  }));
  return { errors };
}
