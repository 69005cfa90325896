import { MAX_ENTRY_BYTES } from "../limits.ts";
import { canonical, type Json, namesPrototype } from "../wire/canonical.ts";
import { Entry } from "./entry.ts";

const MAX_DEPTH = 64;
/** What is wrong with a line, in a word that stays the same. */
export type LineFault = "too-long" | "not-json" | "not-canonical" | "schema";

/**
 * The entry of one line without its newline, or what is wrong with it. A line must be its own canonical JSON (RFC 8785), so that
 * an entry has one spelling, and of the closed schema.
 */
export function readLine(line: string): { readonly entry: Entry } | { readonly fault: LineFault } {
  // A character is at least one byte: no line is parsed that is too long to be an entry.
  if (line.length > MAX_ENTRY_BYTES || Buffer.byteLength(line) > MAX_ENTRY_BYTES) return { fault: "too-long" };
  let value: Json;
  try {
    value = JSON.parse(line) as Json;
  } catch {
    return { fault: "not-json" };
  }
  if (!isCanonical(value, line)) return { fault: "not-canonical" };
  // Seldom looked for: a line has no such word but in a name or in what somebody said.
  if (line.includes("__proto__") && namesPrototype(value)) return { fault: "schema" };
  const parsed = Entry.safeParse(value);
  return parsed.success ? { entry: parsed.data } : { fault: "schema" };
}

/** Whether `value`, parsed from `text`, is spelt in `text` as RFC 8785 says. */
function isCanonical(value: Json, text: string): boolean {
  // What comes out as it went in, with its keys in order, is canonical. Keys that look like numbers come out in another order.
  if (isPlain(value, MAX_DEPTH) && JSON.stringify(value) === text) return true;
  try {
    return canonical(value) === text;
  } catch {
    return false;
  }
}

function isPlain(value: Json, depthLeft: number): boolean {
  if (typeof value === "string") return value.isWellFormed();
  if (typeof value === "number") return Number.isSafeInteger(value);
  if (value === null || typeof value !== "object") return true;
  if (depthLeft === 0) return false;
  if (Array.isArray(value)) return value.every((item: Json) => isPlain(item, depthLeft - 1));
  const object = value as { readonly [key: string]: Json };
  let last = "";
  for (const key in object) {
    if (key < last || !key.isWellFormed() || !isPlain(object[key] as Json, depthLeft - 1)) return false;
    last = key;
  }
  return true;
}
