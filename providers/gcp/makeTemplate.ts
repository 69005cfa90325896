import { z } from "zod";
import { failed } from "../outcome.ts";
import { CallFailed, type Executed } from "../provider.ts";
import { awaitBegun } from "./begun.ts";
import { endpointOf } from "./endpoints.ts";
import { jsonCall } from "./jsonCall.ts";
import type { Rolling } from "./rolling.ts";
import { copyOf, isAlike, type Json, readTemplate, type Template } from "./template.ts";
import { ownTemplate, stepId } from "./tokens.ts";

const Operation = z.object({ name: z.string() });

/** Whether a template of the command's name is what this command makes of the base: another may have made one of that name. */
export function isOwn(made: Template, base: Template, { errand, image }: Pick<Rolling, "errand" | "image">): boolean {
  return (
    made.left?.command === errand.id &&
    made.left.from === base.path &&
    made.image === image &&
    isAlike(made.properties, base.properties)
  );
}

/**
 * A copy of the group's template with the judged image. A template that no group launches from changes nothing, so what does not come about is
 * `failed`. The request id and its name make it one, however often it is sent. Throws CallFailed and Halted.
 */
export async function makeTemplate(
  work: Rolling,
  base: Template,
  policy: Json,
): Promise<Template | { readonly failed: Executed }> {
  const { context, calls, errand, image } = work;
  const body = copyOf(base, image, errand.id, policy);
  if (body === null) return { failed: failed("group-image", [], "its template's boot disk is not made from an image") };
  const folder = base.path.slice(0, base.path.lastIndexOf("/"));
  const at = folder.includes("/regions/") ? `regions/${context.gcp.region}` : "global";
  const token = stepId(errand.id, "template");
  const url = new URL(`/compute/v1/${folder}`, endpointOf(context.gcp, "compute"));
  const call = { calls, service: "compute", url, method: "POST", query: { requestId: token }, body } as const;
  let name: string | null = null;
  try {
    ({ name } = await jsonCall(call, Operation));
  } catch (error) {
    if (!(error instanceof CallFailed) || error.effect === "none") throw error;
  }
  const ended = await awaitBegun({ context, calls, errand, at }, name, token);
  if ("failed" in ended) return { failed: { ...ended.failed, result: "failed" } };
  const made = await readTemplate(context, calls, `${folder}/${ownTemplate(errand.id)}`);
  if (made === null) return { failed: failed("template-missing", [], "the template did not come about") };
  if (!isOwn(made, base, work))
    return { failed: failed("template-other", [], "the template that was made is another") };
  return made;
}
