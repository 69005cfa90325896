import { MAX_COMMAND_DEPTH } from "../limits.ts";

/** JSON as reeve signs and stores it. Numbers are safe integers only: of RFC 8785's number rules nothing else is needed. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** RFC 8785 text of a value. Throws on what has no canonical form here: other numbers, lone surrogates, undefined. */
export function canonical(value: Json, depthLeft = 64): string {
  if (depthLeft < 0) throw new RangeError("too deep");
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw new RangeError("not a safe integer");
    return String(value);
  }
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw new RangeError("lone surrogate");
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonical(item, depthLeft - 1)).join(",")}]`;
  if (typeof value !== "object") throw new TypeError("not JSON");
  const object = value as { readonly [key: string]: Json };
  // RFC 8785 section 3.2.3: keys in the order of their UTF-16 code units, which is what sort() does.
  const members = Object.keys(object)
    .sort()
    .map((key) => `${canonical(key, depthLeft)}:${canonical(object[key] as Json, depthLeft - 1)}`);
  return `{${members.join(",")}}`;
}

export type CanonicalFault = "parse.not-canonical" | "parse.too-deep" | "parse.number";

/**
 * Parses text that must be its own canonical form, so that one meaning has one spelling: duplicate keys, white space,
 * floats and other escapes are refused because they do not come out as they went in.
 */
export function parseCanonical(
  text: string,
  maxDepth = MAX_COMMAND_DEPTH,
): { value: Json } | { fault: CanonicalFault } {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (inString) {
      if (char === "\\") at++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{" || char === "[") {
      if (++depth > maxDepth) return { fault: "parse.too-deep" };
    } else if (char === "}" || char === "]") depth--;
  }
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return { fault: "parse.not-canonical" };
  }
  try {
    return canonical(value) === text ? { value } : { fault: "parse.not-canonical" };
  } catch {
    return { fault: "parse.number" };
  }
}

/** True when a key `__proto__` stands anywhere: a validator may skip it, so it is looked for by name. */
export function namesPrototype(value: Json): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([key, item]) => key === "__proto__" || namesPrototype(item as Json));
}
