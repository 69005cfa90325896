import type { Condition } from "../statement.ts";
import type { RoleDocument, RoleStatement } from "./documents.ts";
import { covers, isWild, mayMeet, resourcePattern } from "./pattern.ts";

/** One action of one Allow statement, on the resources that no Deny takes away. */
export type Grant = {
  readonly document: string;
  /** Its place in the document, from 1. */
  readonly statement: number;
  readonly sid: string | null;
  /** As it is written; a wildcard may stand in it. */
  readonly action: string;
  /** NotAction: everything but these, `action` being `*`. */
  readonly except: readonly string[];
  /** NotResource: everything but these, `resources` being `*`. */
  readonly exceptResources: readonly string[];
  readonly resources: readonly string[];
  readonly conditions: readonly Condition[];
  /** The statement's other actions: what it looks like. */
  readonly beside: readonly string[];
};

function conditionsOf({ Condition: block }: RoleStatement): readonly Condition[] {
  return Object.entries(block ?? {}).flatMap(([test, keys]) =>
    Object.entries(keys).map(([key, values]) => ({ test, key, values })),
  );
}

function allowed({ name, statements }: RoleDocument): Grant[] {
  return statements.flatMap((statement, at) => {
    if (statement.Effect !== "Allow") return [];
    const actions = statement.Action ?? ["*"];
    return actions.map((action) => ({
      document: name,
      statement: at + 1,
      sid: statement.Sid ?? null,
      action,
      except: statement.NotAction ?? [],
      exceptResources: statement.NotResource ?? [],
      resources: statement.Resource ?? ["*"],
      conditions: conditionsOf(statement),
      beside: actions.filter((other) => other !== action),
    }));
  });
}

/** Actions are compared without case: docs.aws.amazon.com, IAM JSON policy elements: Action. */
export function actionCovers(pattern: string, other: string): boolean {
  return covers(pattern.toLowerCase(), other.toLowerCase());
}

function resourceDenied(deny: RoleStatement, resource: string): boolean {
  const { pattern } = resourcePattern(resource);
  if (deny.NotResource !== undefined) {
    return !deny.NotResource.some((kept) => mayMeet(resourcePattern(kept).pattern, pattern));
  }
  return (deny.Resource ?? []).some((each) => {
    const taken = resourcePattern(each);
    // What a variable stands for is not known: it takes nothing away that is certain.
    return !taken.variable && covers(taken.pattern, pattern);
  });
}

/** What a Deny without conditions leaves of a grant. One with conditions may not apply, and takes nothing away. */
function without(grant: Grant, deny: RoleStatement): Grant[] {
  const kept = grant.resources.filter((resource) => !resourceDenied(deny, resource));
  if (kept.length === grant.resources.length) return [grant];
  const rest = kept.length === 0 ? [] : [{ ...grant, resources: kept }];
  if (deny.Action !== undefined) {
    return deny.Action.some((action) => actionCovers(action, grant.action)) ? rest : [grant];
  }
  const denied = grant.resources.filter((resource) => !kept.includes(resource));
  // Denied is everything but these: of a wildcard they are left.
  const left = (deny.NotAction ?? []).flatMap((action) => {
    if (actionCovers(action, grant.action)) return [grant.action];
    if (!isWild(grant.action) || grant.except.some((each) => actionCovers(each, action))) return [];
    if (actionCovers(grant.action, action)) return [action];
    return isWild(action) ? [grant.action] : [];
  });
  return [...rest, ...[...new Set(left)].map((action) => ({ ...grant, action, except: [], resources: denied }))];
}

/** What a role's documents grant, less what they deny in any case. */
export type Holding = {
  readonly grants: readonly Grant[];
  /** Denials with conditions: they may not apply, and are not counted. */
  readonly uncounted: number;
  /** The grants of one action, by name; a wildcard's less what is denied of it. */
  holds(action: string): readonly Grant[];
};

export function holdingOf(documents: readonly RoleDocument[]): Holding {
  const denials = documents.flatMap(({ statements }) => statements.filter(({ Effect }) => Effect === "Deny"));
  const certain = denials.filter(({ Condition: block }) => Object.keys(block ?? {}).length === 0);
  const left = (grants: readonly Grant[]): readonly Grant[] =>
    certain.reduce<readonly Grant[]>((kept, deny) => kept.flatMap((grant) => without(grant, deny)), grants);
  const grants = left(documents.flatMap(allowed));
  const includes = ({ action, except }: Grant, name: string): boolean =>
    actionCovers(action, name) && !except.some((each) => actionCovers(each, name));
  return {
    grants,
    uncounted: denials.length - certain.length,
    holds: (name) => left(grants.filter((grant) => includes(grant, name)).map((grant) => ({ ...grant, action: name }))),
  };
}
