import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { MAX_POLICY_BYTES } from "../../../policy/limits.ts";
import { loadPolicy, type PolicyError } from "../../../policy/parse.ts";
import type { Policy } from "../../../policy/policy.ts";
import { strictYaml } from "../../../policy/yaml.ts";
import { printable } from "../../render.ts";
import { annotation } from "./github.ts";

/** A policy file as the command line takes it: the reader's own file, wherever it lies. */

export type Format = "text" | "github" | "json";
export type PolicyText = {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly policy: Policy;
  readonly digest: string;
  /** Where a rule begins in the file. */
  placeOf(rule: string): { readonly line: number; readonly column: number };
};

export function print(line: string): void {
  process.stdout.write(`${printable(line)}\n`);
}
export function complain(line: string): void {
  process.stderr.write(`${printable(line)}\n`);
}
/** JSON stays JSON: what `printable` would show otherwise is escaped as RFC 8259 section 7 says. */
export function printJson(value: object): void {
  const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;
  const escaped = (char: string): string =>
    char.replace(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  process.stdout.write(`${JSON.stringify(value).replace(hidden, escaped)}\n`);
}

/** At most one byte over the limit, which the parser then refuses. The file is the reader's own: it may be a link. */
export function readFile(path: string, most = MAX_POLICY_BYTES): { bytes: Uint8Array } | { unreadable: string } {
  let descriptor: number | null = null;
  try {
    // Not blocking: a FIFO must not hold the command up.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(descriptor).isFile()) return { unreadable: "it is not a file" };
    const buffer = new Uint8Array(most + 1);
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

export function exitFor(errors: readonly PolicyError[]): number {
  return errors.every((error) => error.code === "policy.tests-fail") ? 1 : 3;
}

function showErrors(path: string, errors: readonly PolicyError[]): void {
  for (const error of errors) {
    complain(`error: ${path}:${error.line}:${error.column}: ${error.message}`);
    complain(`  ${error.path === "" ? "" : `at ${error.path}   `}code ${error.code}`);
    complain(`hint: ${error.hint}`);
  }
}

function showUnreadable(path: string, why: string, format: Format): void {
  if (format === "json") printJson({ valid: false, errors: [{ code: "policy.unreadable", message: why }] });
  if (format === "github") print(annotation("error", { file: path, title: "policy.unreadable" }, why));
  complain(`error: Cannot read ${path}: ${why}.`);
  complain("hint: Name a policy file, such as /etc/reeve/owner/policy.yaml.");
}

/** The file loaded; or what is wrong with it is said, and how to exit. */
export function policyAt(path: string, format: Format): PolicyText | { readonly exit: number } {
  const file = readFile(path);
  if ("unreadable" in file) {
    showUnreadable(path, file.unreadable, format);
    return { exit: 3 };
  }
  const loaded = loadPolicy(file.bytes);
  if ("errors" in loaded) {
    const { errors } = loaded;
    if (format === "json") printJson({ valid: false, file: path, errors });
    else if (format === "text") showErrors(path, errors);
    else {
      for (const { line, column, message, hint, code } of errors) {
        print(annotation("error", { file: path, line, col: column, title: code }, `${message}. ${hint}`));
      }
    }
    return { exit: exitFor(errors) };
  }
  const yaml = strictYaml(new TextDecoder().decode(file.bytes));
  const { policy, digest } = loaded;
  const nth = (id: string): number => policy.rules.findIndex((rule) => rule.id === id);
  return { path, bytes: file.bytes, policy, digest, placeOf: (id) => yaml.place(["rules", Math.max(0, nth(id))]) };
}
