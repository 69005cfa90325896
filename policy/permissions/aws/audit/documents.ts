import { z } from "zod";
import { duplicateName } from "../../audit/duplicates.ts";
import type { Unreadable } from "../../audit/report.ts";

/**
 * A role's policy documents, out of what AWS's own tools print: a document, a list of them, `get-role-policy`, `get-policy-version`,
 * a role of `get-account-authorization-details` with the policies that stand beside it. What is not understood whole is not judged.
 */
export type RoleStatement = z.output<typeof StatementJson>;
export type RoleDocument = {
  /** What the document is called where it was found: a policy's name, or `document 2`. */
  readonly name: string;
  readonly statements: readonly RoleStatement[];
};
export type Role = { readonly documents: readonly RoleDocument[]; readonly notes: readonly string[] };

const Words = z.union([z.string(), z.array(z.string()).min(1)]).transform((value) => [value].flat());
const Value = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const Values = z.union([Value.transform((value) => [value]), z.array(Value)]);

const StatementJson = z
  .strictObject({
    Sid: z.string().optional(),
    Effect: z.enum(["Allow", "Deny"]),
    Action: Words.optional(),
    NotAction: Words.optional(),
    Resource: Words.optional(),
    NotResource: Words.optional(),
    Condition: z.record(z.string(), z.record(z.string(), Values)).optional(),
  })
  .superRefine((statement, context) => {
    for (const [one, other] of [
      ["Action", "NotAction"],
      ["Resource", "NotResource"],
    ] as const) {
      if ((statement[one] === undefined) === (statement[other] === undefined))
        context.addIssue({ code: "custom", message: `a statement has one of ${one} and ${other}` });
    }
  });
const DocumentJson = z.strictObject({
  Version: z.enum(["2012-10-17", "2008-10-17"]).optional(),
  Id: z.string().optional(),
  // One statement may stand without its list.
  Statement: z.preprocess((value) => (Array.isArray(value) ? value : [value]), z.array(StatementJson)),
});

/** AWS's fixed policies whose whole text is one line of its documentation. Another one's text must be in the file. */
const FIXED: Readonly<Record<string, unknown>> = {
  AdministratorAccess: { Version: "2012-10-17", Statement: { Effect: "Allow", Action: "*", Resource: "*" } },
};

class NotUnderstood extends Error {
  constructor(
    readonly because: string,
    readonly hint: string,
  ) {
    super(because);
    this.name = "NotUnderstood";
  }
}

const SHAPES =
  "Give a policy document, a list of them, or the output of aws iam get-role-policy, get-policy-version or get-account-authorization-details.";

type Json = Readonly<Record<string, unknown>>;
function objectAt(value: unknown, where: string): Json {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw new NotUnderstood(`${where} is not an object`, SHAPES);
}
function listAt(value: unknown, where: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new NotUnderstood(`${where} is not a list`, SHAPES);
}

/** AWS's API hands documents over as URL-encoded text (RFC 3986), its command line as JSON. */
function decoded(value: unknown, name: string): unknown {
  if (typeof value !== "string") return value;
  try {
    const text = value.trimStart().startsWith("%7B") ? decodeURIComponent(value) : value;
    return parsed(text);
  } catch (error) {
    if (error instanceof NotUnderstood) throw error;
    throw new NotUnderstood(`${name} is not JSON`, SHAPES);
  }
}

function parsed(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const twice = duplicateName(text);
  if (twice === null) return value;
  throw new NotUnderstood(`${JSON.stringify(twice)} stands twice in one object`, "Keep one of the two.");
}

function document(value: unknown, name: string): RoleDocument {
  const read = DocumentJson.safeParse(decoded(value, name));
  if (read.success) return { name, statements: read.data.Statement };
  const [issue] = read.error.issues;
  const unknown = issue?.code === "unrecognized_keys" ? issue.keys : [];
  const hint = unknown.some((key) => key === "Principal" || key === "NotPrincipal")
    ? "This is a trust or resource policy: give the policies of the role itself."
    : "Compare with AWS's IAM JSON policy elements: what is not understood whole is not judged.";
  const at = issue === undefined || issue.path.length === 0 ? "" : ` at ${issue.path.map(String).join(".")}`;
  throw new NotUnderstood(`${name} is no policy of IAM's${at}: ${issue?.message ?? "unknown"}`, hint);
}

type Managed = ReadonlyMap<string, RoleDocument>;

/** Managed policies of an account's details, by ARN: the version that is in force. */
function managedIn(details: Json): Managed {
  const found = new Map<string, RoleDocument>();
  for (const [at, each] of listAt(details["Policies"] ?? [], "Policies").entries()) {
    const policy = objectAt(each, `Policies.${at}`);
    const name = String(policy["PolicyName"] ?? policy["Arn"] ?? `policy ${at + 1}`);
    const versions = listAt(policy["PolicyVersionList"], `PolicyVersionList of ${name}`).map((one) =>
      objectAt(one, `a version of ${name}`),
    );
    const current = versions.find((version) => version["IsDefaultVersion"] === true);
    if (current === undefined)
      throw new NotUnderstood(`${name} has no version in force`, "Print the details anew with aws iam.");
    found.set(String(policy["Arn"]), document(current["Document"], name));
  }
  return found;
}

function attached(role: Json, managed: Managed): RoleDocument[] {
  return listAt(role["AttachedManagedPolicies"] ?? [], "AttachedManagedPolicies").map((each, at) => {
    const arn = String(objectAt(each, `AttachedManagedPolicies.${at}`)["PolicyArn"]);
    const here = managed.get(arn);
    if (here !== undefined) return here;
    const fixed = /^arn:[a-z-]+:iam::aws:policy\/(\w+)$/.exec(arn)?.[1] ?? "";
    if (Object.hasOwn(FIXED, fixed)) return document(FIXED[fixed], fixed);
    const hint =
      "Print it too: aws iam get-account-authorization-details --filter Role LocalManagedPolicy AWSManagedPolicy";
    throw new NotUnderstood(`the attached policy ${arn} is not in the file`, hint);
  });
}

function ofRole(role: Json, managed: Managed): Role {
  const inline = listAt(role["RolePolicyList"] ?? [], "RolePolicyList").map((each, at) => {
    const policy = objectAt(each, `RolePolicyList.${at}`);
    return document(policy["PolicyDocument"], String(policy["PolicyName"] ?? `inline policy ${at + 1}`));
  });
  const boundary = role["PermissionsBoundary"] !== undefined;
  const note = "The role has a permissions boundary. It is not counted: it grants nothing, and can be taken off.";
  return { documents: [...inline, ...attached(role, managed)], notes: boundary ? [note] : [] };
}

function ofAccount(details: Json, name: string | null): Role {
  const roles = listAt(details["RoleDetailList"], "RoleDetailList").map((role) => objectAt(role, "a role"));
  const names = roles.map((role) => String(role["RoleName"]));
  const chosen = name === null && roles.length === 1 ? roles[0] : roles.find((role) => role["RoleName"] === name);
  if (chosen !== undefined) return ofRole(chosen, managedIn(details));
  const because =
    name === null ? `it holds ${roles.length} roles, and none was named` : `it holds no role named ${name}`;
  throw new NotUnderstood(because, `Name one with --role: ${names.slice(0, 10).join(", ") || "there is none"}.`);
}

function understood(value: unknown, name: string | null): Role {
  if (Array.isArray(value)) {
    const each = value.map((one, at) => withDefault(understood(one, name), `document ${at + 1}`));
    return { documents: each.flatMap(({ documents }) => documents), notes: each.flatMap(({ notes }) => notes) };
  }
  const object = objectAt(value, "the file");
  const one = (inner: unknown, called: unknown): Role => ({
    documents: [document(inner, String(called ?? UNNAMED))],
    notes: [],
  });
  if ("Statement" in object) return one(object, undefined);
  if ("PolicyDocument" in object) return one(object["PolicyDocument"], object["PolicyName"]);
  if ("PolicyVersion" in object) return understood(object["PolicyVersion"], name);
  if ("Document" in object) return one(object["Document"], undefined);
  if ("RoleDetailList" in object) return ofAccount(object, name);
  if ("RolePolicyList" in object || "AttachedManagedPolicies" in object) return ofRole(object, new Map());
  throw new NotUnderstood("it holds no policy document", SHAPES);
}

const UNNAMED = "the document";
function withDefault(role: Role, name: string): Role {
  const documents = role.documents.map((each) => (each.name === UNNAMED ? { ...each, name } : each));
  return { ...role, documents };
}

/** Reads a role's file. `name`: which role of an account's details. Never throws on bad input. */
export function readRole(bytes: Uint8Array, name: string | null): Role | Unreadable {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return { because: "it is not UTF-8 text", hint: SHAPES };
  }
  try {
    const role = understood(parsed(text), name);
    if (role.documents.length > 0) return role;
    return { because: "it holds no policy document", hint: SHAPES };
  } catch (error) {
    if (error instanceof NotUnderstood) return { because: error.because, hint: error.hint };
    if (error instanceof SyntaxError) return { because: "it is not JSON", hint: SHAPES };
    // Only recursion over absurdly deep nesting ends here.
    if (error instanceof RangeError) return { because: "it is nested too deep", hint: SHAPES };
    throw error;
  }
}
