import { ACTIONS, type Asked } from "../../policy/asked.ts";
import { type Refusal, type RefusalCode, refuse } from "../../policy/refusal.ts";
import { type Json, namesPrototype, parseCanonical } from "./canonical.ts";
import { CommandClaims } from "./command.ts";
import type { Signed } from "./envelope.ts";

declare const parsed: unique symbol;
/** A signed command that says one thing only. Only `parse` makes one. */
export type Command = {
  readonly signed: Signed;
  readonly claims: CommandClaims;
  readonly asked: Asked;
  readonly [parsed]: true;
};

const CANNOT = "read a command";
const NAMES = new Set(["name", "group", "zone", "authority"]);

/**
 * DESIGN section 3, parse: pure. Refuses parse.not-canonical, parse.too-deep, parse.number, parse.action, parse.name and
 * parse.claims; `field` is the claim that failed.
 */
export function parse(signed: Signed): Command | Refusal {
  const read = parseCanonical(signed.payload);
  if ("fault" in read)
    return refuse(read.fault, CANNOT, "its payload is not its own canonical JSON", "Send canonical JSON (RFC 8785).");
  if (namesPrototype(read.value))
    return refuse("parse.claims", CANNOT, "it has an unknown claim", "Send the claims of docs/PROTOCOL.md.");
  if (hasUnknownAction(read.value))
    return refuse("parse.action", CANNOT, "it asks for an unknown action", `The actions are ${ACTIONS.join(", ")}.`);
  const result = CommandClaims.safeParse(read.value);
  if (!result.success) {
    const issue = result.error.issues[0];
    const field = (issue?.path ?? []).map(String).join(".").slice(0, 64);
    const because = `its claim ${field || "set"} is missing, unknown or not of its form`;
    return refuse(codeOf(issue), CANNOT, because, "Send the claims of docs/PROTOCOL.md.", field ? { field } : {});
  }
  const claims = result.data;
  return { signed, claims, asked: { action: claims.action, args: claims.args } as Asked } as Command;
}

function hasUnknownAction(value: Json): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const action = (value as { readonly [key: string]: Json })["action"];
  return typeof action === "string" && !ACTIONS.some((known) => known === action);
}

type Issue = { readonly code: string; readonly path: readonly PropertyKey[]; readonly origin?: string };
function codeOf(issue: Issue | undefined): RefusalCode {
  if (issue === undefined) return "parse.claims";
  const sized = issue.code === "too_big" || issue.code === "too_small";
  if (sized && (issue.origin === "number" || issue.origin === "int")) return "parse.number";
  const [first, second, ...rest] = issue.path;
  const inName = first === "args" && rest.length === 0 && typeof second === "string" && NAMES.has(second);
  return inName && (sized || issue.code === "invalid_format") ? "parse.name" : "parse.claims";
}
