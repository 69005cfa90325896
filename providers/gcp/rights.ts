import { z } from "zod";
import { permissionsOf } from "../../policy/permissions/gcp/bindings.ts";
import type { Rule } from "../../policy/policy.ts";
import { CallFailed } from "../provider.ts";
import { NoAnswer, transport } from "../transport.ts";
import type { GcpContext } from "./call.ts";
import { type Called, endpointOf } from "./endpoints.ts";
import { failureOf, jsonOf } from "./failure.ts";
import { GCP_CALL_TIMEOUT_MS, MAX_GCP_ANSWER_BYTES } from "./limits.ts";

const Held = z.object({ permissions: z.array(z.string()).default([]) });

/** Asks Google which of a rule's permissions the caller has: a question that needs none, and changes nothing. Throws CallFailed. */
export async function lacking(context: GcpContext, rule: Rule): Promise<string> {
  const wanted = permissionsOf(rule);
  const { service, path } = questionOf(context, rule);
  const url = new URL(path, endpointOf(context.gcp, service));
  const held = await ask(context, url, wanted);
  const missing = wanted.filter((permission) => !held.includes(permission));
  if (missing.length === 0) return `all ${wanted.length} permissions are there`;
  throw new CallFailed("no-permission", `without ${missing.join(", ")}`, "none");
}

/** Where a resource has a policy of its own it is asked; else its project. */
function questionOf({ gcp }: GcpContext, rule: Rule): { readonly service: Called; readonly path: string } {
  switch (rule.allow) {
    case "scale":
    case "deploy":
      return { service: "cloudresourcemanager", path: `/v3/projects/${gcp.project}:testIamPermissions` };
    case "issue-certificate":
      return { service: "privateca", path: `/v1/${rule.authority}:testIamPermissions` };
    case "update-dns":
      return {
        service: "dns",
        path: `/dns/v1/projects/${gcp.project}/managedZones/${encodeURIComponent(rule.zone)}:testIamPermissions`,
      };
  }
}

async function ask(context: GcpContext, url: URL, permissions: readonly string[]): Promise<readonly string[]> {
  const send = transport(context.dial, { timeoutMs: GCP_CALL_TIMEOUT_MS, maxBytes: MAX_GCP_ANSWER_BYTES });
  const headers = {
    Authorization: `Bearer ${await context.tokens.current()}`,
    "User-Agent": `reeve/${context.version} cmd/doctor`,
    "Content-Type": "application/json",
  };
  const request = {
    protocol: url.protocol === "http:" ? "http:" : "https:",
    hostname: url.hostname,
    port: url.port === "" ? null : Number(url.port),
    method: "POST",
    path: url.pathname,
    headers,
    body: new TextEncoder().encode(JSON.stringify({ permissions })),
  } as const;
  const answer = await send(request, () => undefined).catch((error: unknown) => {
    throw error instanceof NoAnswer ? new CallFailed(error.status, error.message, "none") : error;
  });
  if (answer.status !== 200) throw failureOf(answer, "read", "");
  const read = Held.safeParse(jsonOf(answer.body));
  if (!read.success) throw new CallFailed("malformed", "the answer lists no permissions", "none");
  return read.data.permissions;
}
