import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { Command } from "commander";
import { MAX_POLICY_BYTES } from "../../policy/limits.ts";
import { loadPolicy, type PolicyError } from "../../policy/parse.ts";
import { policyJsonSchema } from "../../policy/schema.ts";
import { sentences, warnings } from "../../policy/sentences.ts";
import { printable } from "../render.ts";
import { permissionsCommand } from "./policy/permissions.ts";

function print(line: string): void {
  process.stdout.write(`${printable(line)}\n`);
}
/** JSON stays JSON: what `printable` would show otherwise is escaped as RFC 8259 section 7 says. */
function printJson(value: object): void {
  const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;
  const escaped = (char: string): string =>
    char.replace(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  process.stdout.write(`${JSON.stringify(value).replace(hidden, escaped)}\n`);
}
function complain(line: string): void {
  process.stderr.write(`${printable(line)}\n`);
}

/** At most one byte over the limit, which the parser then refuses. The file is the reader's own: it may be a link. */
function readFile(path: string): { bytes: Uint8Array } | { unreadable: string } {
  let descriptor: number | null = null;
  try {
    // Not blocking: a FIFO must not hold the command up.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(descriptor).isFile()) return { unreadable: "it is not a file" };
    const buffer = new Uint8Array(MAX_POLICY_BYTES + 1);
    let length = 0;
    while (length < buffer.length) {
      const read = readSync(descriptor, buffer, length, buffer.length - length, null);
      if (read === 0) break;
      length += read;
    }
    return { bytes: buffer.subarray(0, length) };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    return { unreadable: code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})` };
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

function exitFor(errors: readonly PolicyError[]): number {
  return errors.every((error) => error.code === "policy.tests-fail") ? 1 : 3;
}

function unreadable(path: string, why: string, json: boolean): void {
  process.exitCode = 3;
  if (json) {
    printJson({ valid: false, errors: [{ code: "policy.unreadable", message: why }] });
    return;
  }
  complain(`error: Cannot check ${path}: ${why}.`);
  complain("hint: Name a policy file, such as /etc/reeve/owner/policy.yaml.");
}

function showErrors(path: string, errors: readonly PolicyError[]): void {
  for (const error of errors) {
    complain(`error: ${path}:${error.line}:${error.column}: ${error.message}`);
    complain(`  ${error.path === "" ? "" : `at ${error.path}   `}code ${error.code}`);
    complain(`hint: ${error.hint}`);
  }
}

function check(path: string, options: { json?: true }): void {
  const json = options.json === true;
  const file = readFile(path);
  if ("unreadable" in file) {
    unreadable(path, file.unreadable, json);
    return;
  }
  const loaded = loadPolicy(file.bytes);
  if ("errors" in loaded) {
    process.exitCode = exitFor(loaded.errors);
    if (json) printJson({ valid: false, errors: loaded.errors });
    else showErrors(path, loaded.errors);
    return;
  }
  const { policy, digest } = loaded;
  const tests = policy.tests.length;
  const said = { sentences: sentences(policy), warnings: warnings(policy) };
  if (json) {
    printJson({ valid: true, digest, revision: policy.revision, tests, ...said });
    return;
  }
  for (const sentence of said.sentences) print(sentence);
  for (const warning of said.warnings) print(`warning: ${warning}`);
  print(digest);
  print(`${tests} tests passed`);
}

/** `policy check FILE` and `policy schema`. Exit codes: 0 the file loads, 1 its tests fail, 2 usage, 3 unreadable or invalid. */
export function policyCommand(): Command {
  const command = new Command("policy").description("check the policy file: what the vendor may do");
  command
    .command("check")
    .description("run the file's tests and print it as sentences, with warnings")
    .argument("<file>", "the policy file")
    .option("--json", "print one JSON object")
    .action(check);
  permissionsCommand(command);
  command
    .command("schema")
    .description("print the file's JSON Schema, for editors")
    .action(() => {
      process.stdout.write(`${JSON.stringify(policyJsonSchema(), null, 2)}\n`);
    });
  return command;
}
