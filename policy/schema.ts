import { z } from "zod";
import { PolicyFile } from "./policy.ts";

/** The JSON Schema of the file for editors, from the parser's own schema. What it cannot say (CIDRs, zones, ids) the parser checks. */
export function policyJsonSchema(): object {
  return z.toJSONSchema(PolicyFile, { io: "input" });
}
