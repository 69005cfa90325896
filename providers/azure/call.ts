import type { HttpClient, PipelineRequest, PipelineResponse } from "@azure/core-rest-pipeline";
import type { Host } from "../../agent/host/host.ts";
import type { AzureConfig } from "../../agent/providerConfig/azure.ts";
import { CallFailed, type Errand, type Gate, GateBreach, Halted, type Setting } from "../provider.ts";
import { NoAnswer, transport, type WireAnswer } from "../transport.ts";
import { type About, namedBy } from "./about.ts";
import type { ClientOf, Kind } from "./clients.ts";
import type { Token, TokenSource } from "./credentials.ts";
import { type Endpoint, endpointOf, type Service } from "./endpoints.ts";
import { OF_CREDENTIALS, PASSING, refusedBy, requestIdOf, retryAfterOf, unanswered, unreadable } from "./failure.ts";
import { claimsOf } from "./identity.ts";
import {
  AZURE_CALL_TIMEOUT_MS,
  MAX_ATTEMPTS,
  MAX_AZURE_ANSWER_BYTES,
  RETRY_AFTER_MAX_MS,
  RETRY_FIRST_MS,
  RETRY_MAX_MS,
} from "./limits.ts";
import { azureOperation } from "./operations.ts";
import { commandHeaders, jsonOf, wireOf } from "./sdkRequest.ts";

export type AzureContext = Setting & { readonly azure: AzureConfig; readonly tokens: TokenSource };

/** The SDK is evaluated with the first call: an agent that idles has no need of it. */
const sdk = async () => ({ ...(await import("./clients.ts")), ...(await import("./sdkAnswer.ts")) });

/** All calls of one command: its gate, what it is about, and the operations that its own change was answered with. */
export type AzureCalls = {
  /**
   * `send` is given a client whose every request goes through the gate: its operation and resource, read out of the request itself, and
   * where it goes. Throws CallFailed with Azure's correlation id, Halted, and GateBreach. Reads, and changes that are the same when sent
   * again, are tried again; each try is a call.
   */
  send<K extends Kind, Output>(kind: K, send: (client: ClientOf[K]) => Promise<Output>): Promise<Output>;
  readonly operations: Set<string>;
  /** The headers of the newest answer; lower-case names. */
  headers(): Readonly<Record<string, string>>;
};

/** What one try of `send` did, as far as it came. */
type Try = { kind: "read" | "change"; again: boolean; answered: boolean; retryAfterMs: number | null };
type State = { headers: Readonly<Record<string, string>> };

/**
 * `vault`: for an authority, the vault that its key lies in. `deploy`: what one may touch. `count`: the one that a scale was judged for. Null for
 * everything else.
 */
export function azureCalls(
  context: AzureContext,
  gate: Gate,
  errand: Errand,
  resource: string,
  { vault = null, deploy = null, count = null }: Partial<Pick<About, "vault" | "deploy" | "count">> = {},
): AzureCalls {
  const operations = new Set<string>();
  const about: About = { resource, operations, vault, deploy, count };
  const service: Service = vault === null ? "arm" : { vault };
  const endpoint = endpointOf(context.azure, service);
  const state: State = { headers: {} };
  return {
    operations,
    headers: () => state.headers,
    async send(kind, send) {
      let lost = false;
      for (let attempt = 1; ; attempt++) {
        const one: Try = { kind: "read", again: false, answered: false, retryAfterMs: null };
        let token: Token | null = null;
        try {
          token = await context.tokens.current(endpoint.audience);
          const httpClient = gated({ context, gate, errand, about, endpoint, state, one });
          const { clientOf } = await sdk();
          const client = clientOf(kind, { azure: context.azure, endpoint, token, httpClient });
          return await send(client).catch((error: unknown) => Promise.reject(understood(error, one)));
        } catch (error) {
          const failed = lost ? inDoubt(error) : error;
          if (!(error instanceof CallFailed)) throw failed;
          if (token !== null && OF_CREDENTIALS.has(error.status)) context.tokens.forget(endpoint.audience, token);
          lost ||= error.effect === "unknown";
          // What was turned away for its number has not begun.
          const again = one.again || error.status === "throttled";
          if (attempt === MAX_ATTEMPTS || !again || !PASSING.has(error.status)) throw failed;
          if (!(await pause(context.host, attempt, one.retryAfterMs, errand.signal))) throw failed;
        }
      }
    },
  };
}

/** What the SDK says of an answer that it cannot read is the answer's fault; where none came, it is our own mistake. */
function understood(error: unknown, { answered, kind }: Try): unknown {
  if (error instanceof GateBreach || error instanceof Halted || error instanceof CallFailed) return error;
  return answered && error instanceof Error ? unreadable(error.message, kind, null) : error;
}

/** An earlier try of the same change may have had its effect: what ends a later one does not say that it had none. */
function inDoubt(error: unknown): unknown {
  if (error instanceof Halted)
    return new CallFailed(error.why, "an earlier try was not answered and may have worked", "unknown");
  if (error instanceof CallFailed) return new CallFailed(error.status, error.words, "unknown", error.request);
  return error;
}

/** Waits longer each time, by a random part of it, and as Azure asks. False when the deadline came. */
async function pause(
  { clock, random }: Host,
  attempt: number,
  asked: number | null,
  signal: AbortSignal,
): Promise<boolean> {
  const most = Math.min(RETRY_FIRST_MS * 2 ** attempt, RETRY_MAX_MS);
  const [byte = 0] = random.bytes(1);
  const own = most / 2 + (most / 2) * (byte / 255);
  await clock.sleep(Math.max(own, Math.min(asked ?? 0, RETRY_AFTER_MAX_MS)), signal);
  return !signal.aborted;
}

type Calling = {
  readonly context: AzureContext;
  readonly gate: Gate;
  readonly errand: Errand;
  readonly about: About;
  readonly endpoint: Endpoint;
  readonly state: State;
  readonly one: Try;
};

/** All that the SDK has of a network: each of its requests is a call through the gate, and what is no success is thrown. */
function gated(calling: Calling): HttpClient {
  return { sendRequest: (request) => sendOne(calling, request) };
}

async function sendOne(calling: Calling, request: PipelineRequest): Promise<PipelineResponse> {
  const { context, gate, errand, about, endpoint, one } = calling;
  const { azure } = context;
  const { answered, keyVaultChallenge } = await sdk();
  const url = new URL(request.url);
  // A page's or an operation's link is Azure's word: it never leads elsewhere.
  if (url.protocol !== "https:" || url.host !== endpoint.url.host)
    throw new CallFailed("elsewhere", `a link to ${url.host}`, one.kind === "change" ? "unknown" : "none");
  const bearer = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
  if (bearer === undefined && about.vault !== null) return keyVaultChallenge(request, azure.tenant, endpoint.audience);
  const headers = commandHeaders(context, errand.id, about.vault !== null);
  const wire = wireOf(request, endpoint, headers);
  const { operation, resource } = namedBy(azure, wire.method, url.pathname, jsonOf(wire.body), about);
  const row = azureOperation(operation);
  const kind = row?.kind ?? "change";
  Object.assign(one, { kind, again: row?.again ?? false });
  const place = { host: endpoint.host, region: claimsOf(bearer ?? "")?.tid ?? "(no tenant)", method: wire.method };
  const outcome = await gate.call<PipelineResponse | CallFailed>(operation, resource, async (leave) => {
    leave(place, "later");
    const send = transport(context.dial, { timeoutMs: AZURE_CALL_TIMEOUT_MS, maxBytes: MAX_AZURE_ANSWER_BYTES });
    const answer = await send(wire, (moment) => leave(place, moment)).catch((error: unknown) => {
      throw error instanceof NoAnswer ? unanswered(error, kind) : error;
    });
    one.answered = true;
    calling.state.headers = answer.headers;
    const id = idOf(answer, headers);
    if (answer.status >= 300) {
      one.retryAfterMs = retryAfterOf(answer.headers);
      const refused = refusedBy(answer, kind, id);
      // That there is no such record set is an answer, and often the one that is hoped for.
      if (row?.scope === "records" && kind === "read" && refused.status === "missing")
        return { value: refused, request: id };
      throw refused;
    }
    if (answer.body.length > 0 && jsonOf(answer.body) === undefined)
      throw unreadable("its answer is no JSON", kind, id);
    return { value: answered(request, answer), request: id };
  });
  if (outcome instanceof CallFailed) throw outcome;
  return outcome;
}

/** Resource Manager gives each call a correlation id; Key Vault's log knows it by the id that we gave it. */
function idOf(answer: WireAnswer, sent: Readonly<Record<string, string>>): string | null {
  const own = sent["x-ms-client-request-id"];
  const echoed = answer.headers["x-ms-client-request-id"];
  return answer.headers["x-ms-correlation-request-id"] === undefined && own !== undefined && echoed === own
    ? own
    : requestIdOf(answer.headers);
}
