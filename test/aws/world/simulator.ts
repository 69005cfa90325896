import { allowed } from "../../permissions/world.ts";
import type { Structure } from "./codec.ts";
import { ServiceError } from "./made.ts";
import type { Behaviour } from "./proxy.ts";

export type Document = Parameters<typeof allowed>[0];

/** A context key's values: of a list all, of a string the one. IAM's API reference, ContextEntry. */
function contextOf(entries: readonly Structure[]): Record<string, string | readonly string[]> {
  return Object.fromEntries(
    entries.map((entry) => {
      const values = entry["ContextKeyValues"] as readonly string[];
      const list = String(entry["ContextKeyType"]).endsWith("List");
      return [String(entry["ContextKeyName"]), list ? values : String(values[0])];
    }),
  );
}

/** SimulatePrincipalPolicy, which moto has not: judged by @cloud-copilot/iam-simulate. */
export function simulator(documentNow: () => Document | null): Behaviour {
  return {
    async about(_, params) {
      return { resources: [String(params["PolicySourceArn"])], context: {} };
    },
    async answer({ operation, params }) {
      if (operation !== "SimulatePrincipalPolicy") throw new Error(`nobody asked for ${operation}`);
      const document = documentNow();
      if (document === null) throw new ServiceError("NoSuchEntity", "The role cannot be found.");
      const context = contextOf((params["ContextEntries"] ?? []) as readonly Structure[]);
      const results: Structure[] = [];
      for (const action of params["ActionNames"] as readonly string[])
        for (const resource of params["ResourceArns"] as readonly string[])
          results.push({
            EvalActionName: action,
            EvalResourceName: resource,
            EvalDecision: (await allowed(document, { action, resource, context })) ? "allowed" : "implicitDeny",
          });
      return { EvaluationResults: results, IsTruncated: false };
    },
  };
}
