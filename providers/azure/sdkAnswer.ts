import { createHttpHeaders, type PipelineRequest, type PipelineResponse } from "@azure/core-rest-pipeline";
import type { WireAnswer } from "../transport.ts";

/** Answers in the form that the SDK takes. */
export function answered(request: PipelineRequest, { status, headers, body }: WireAnswer): PipelineResponse {
  return { request, status, headers: createHttpHeaders(headers), bodyAsText: new TextDecoder().decode(body) };
}

/**
 * Key Vault's client asks the vault which tenant and audience to bring a token of. Both are the config's: it is told so here, and nothing
 * leaves ("Authentication, requests and responses" of Key Vault).
 */
export function keyVaultChallenge(request: PipelineRequest, tenant: string, audience: string): PipelineResponse {
  const challenge = `Bearer authorization="https://login.microsoftonline.com/${tenant}", resource="${audience}"`;
  return { request, status: 401, headers: createHttpHeaders({ "www-authenticate": challenge }), bodyAsText: "" };
}
