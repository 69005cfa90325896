import { type Audited, type Excess, someOf, type Unreadable } from "../../audit/report.ts";
import type { Statement } from "../statement.ts";
import { beyond, type Finding } from "./beyond.ts";
import { readRole } from "./documents.ts";
import { holdingOf } from "./grants.ts";
import { sourceOf } from "./ways.ts";

function uncounted(denials: number): readonly string[] {
  if (denials === 0) return [];
  if (denials === 1) return ["1 denial has conditions. It is not counted: it may not apply."];
  return [`${denials} denials have conditions. They are not counted: they may not apply.`];
}

function excessOf({ group, also, beside: _, ...finding }: Finding): Excess {
  const { action, except, resources, exceptResources, conditions, document, statement, sid, ways } = finding;
  return {
    group,
    also,
    words: {
      what: except.length === 0 ? action : `everything but ${someOf(except)}`,
      where: exceptResources.length === 0 ? someOf(resources) : `everything but ${someOf(exceptResources)}`,
      held: conditions.length === 0 ? "no condition" : `if ${conditions.map(({ key }) => key).join(", ")}`,
      at: `${document}, statement ${statement}${sid === null ? "" : ` ${sid}`}`,
    },
    json: {
      document,
      statement,
      sid,
      action,
      ...(except.length === 0 ? {} : { except }),
      ...(exceptResources.length === 0 ? { resources } : { except_resources: exceptResources }),
      conditions: conditions.map(({ test, key, values }) => ({ test, key, values })),
      ways,
    },
  };
}

/** What a role's file has beyond the least permissions. */
export function audited(least: readonly Statement[], file: Uint8Array, name: string | null): Audited | Unreadable {
  const role = readRole(file, name);
  if ("because" in role) return role;
  const holding = holdingOf(role.documents);
  const { findings, ways, within } = beyond(holding, least);
  return {
    excess: findings.map(excessOf),
    ways: ways.map((way) => ({ id: way.id, needs: way.needs, does: way.does, source: sourceOf(way) })),
    within,
    notes: [...role.notes, ...uncounted(holding.uncounted)],
  };
}
