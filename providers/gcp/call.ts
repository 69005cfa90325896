import type { Host } from "../../agent/host/host.ts";
import type { GcpConfig } from "../../agent/providerConfig/gcp.ts";
import { CallFailed, type Errand, type Gate, GateBreach, Halted, type Setting } from "../provider.ts";
import { NoAnswer, transport, type WireRequest } from "../transport.ts";
import type { Tokens } from "./credentials.ts";
import { hostText } from "./endpoints.ts";
import { failureOf, jsonOf, PASSING } from "./failure.ts";
import { GCP_CALL_TIMEOUT_MS, MAX_ATTEMPTS, MAX_GCP_ANSWER_BYTES, RETRY_FIRST_MS, RETRY_MAX_MS } from "./limits.ts";
import { gcpOperation, type Service } from "./operations.ts";
import { type About, type Leaving, readRequest } from "./request.ts";

export type GcpContext = Setting & { readonly gcp: GcpConfig; readonly tokens: Tokens };

/** Sends one request, through the gate, and returns the JSON of its answer. The only network that a client of Google's has. */
export type Wire = (url: URL, method: string, body: Uint8Array | null) => Promise<Uint8Array>;

/** All calls of one command: its gate, what it is about, and what its own calls were answered with. */
export type GcpCalls = {
  /**
   * `make` makes one call of the service by the wire it is given. What is really about to leave is read out of the request and goes through the
   * gate; where it goes, once more right before its bytes. Throws CallFailed, Halted and GateBreach. Reads, and changes with a token, are
   * tried again; each try is a call.
   */
  send<T>(service: Service, make: (wire: Wire) => Promise<T>): Promise<T>;
  /** Things that this command may ask about: an autoscaler of its group, an operation or a change of its own. */
  readonly known: Set<string>;
};

/** `image` of a deploy, `count` of a scale: what the command was judged for, and the gate holds its changes to. */
export function gcpCalls(
  context: GcpContext,
  gate: Gate,
  errand: Errand,
  resource: string,
  { image = null, count = null }: Partial<Pick<About, "image" | "count">> = {},
): GcpCalls {
  const known = new Set<string>();
  const about: About = { gcp: context.gcp, command: errand.id, resource, known, image, count };
  return {
    known,
    async send(service, make) {
      let lost = false;
      for (let attempt = 1; ; attempt++) {
        const call = oneCall(context, service, about, gate);
        try {
          return await call.made(make);
        } catch (error) {
          const failed = lost ? inDoubt(error) : error;
          if (!(error instanceof CallFailed)) throw failed;
          lost ||= error.effect === "unknown";
          if (attempt === MAX_ATTEMPTS || !call.again() || !PASSING.has(error.status)) throw failed;
          if (!(await pause(context.host, attempt, errand.signal))) throw failed;
        }
      }
    },
  };
}

/** An earlier try of the same change may have had its effect: what ends a later one does not say that it had none. */
function inDoubt(error: unknown): unknown {
  if (error instanceof Halted)
    return new CallFailed(error.why, "an earlier try was not answered and may have worked", "unknown");
  if (error instanceof CallFailed) return new CallFailed(error.status, error.words, "unknown", error.request);
  return error;
}

/** Waits longer each time, by a random part of it. False when the deadline came. */
async function pause({ clock, random }: Host, attempt: number, signal: AbortSignal): Promise<boolean> {
  const most = Math.min(RETRY_FIRST_MS * 2 ** attempt, RETRY_MAX_MS);
  const [byte = 0] = random.bytes(1);
  await clock.sleep(most / 2 + (most / 2) * (byte / 255), signal);
  return !signal.aborted;
}

function oneCall(context: GcpContext, service: Service, about: About, gate: Gate) {
  let operation = "";
  let answered = false;
  // Not what a client of Google's makes of it: what it was.
  let thrown: unknown = null;
  const wire: Wire = async (url, method, body) => {
    if (operation !== "") throw new Error("a second request of one call");
    const leaving: Leaving = { service, method, url, body };
    const read = readRequest(leaving, about);
    operation = read.operation;
    const bytes = await through(context, gate, leaving, read, about.command);
    answered = true;
    return bytes;
  };
  const row = () => gcpOperation(operation);
  return {
    again: () => row()?.again ?? false,
    async made<T>(make: (wire: Wire) => Promise<T>): Promise<T> {
      try {
        return await make(async (...request) => {
          try {
            return await wire(...request);
          } catch (error) {
            thrown = error;
            throw error;
          }
        });
      } catch (error) {
        if (thrown !== null) throw thrown;
        // Nothing was sent: what a client says of our own input is our own mistake.
        if (!answered || error instanceof CallFailed || error instanceof GateBreach || !(error instanceof Error))
          throw error;
        const effect = row()?.kind === "read" ? "none" : "unknown";
        throw new CallFailed("malformed", `${error.name}: ${error.message}`, effect);
      }
    },
  };
}

async function through(
  context: GcpContext,
  gate: Gate,
  { url, method, body }: Leaving,
  { operation, resource, region }: ReturnType<typeof readRequest>,
  command: string,
): Promise<Uint8Array> {
  // Before the gate is asked: the metadata server is the machine's own.
  const token = await context.tokens.current();
  const place = { host: hostText(url), region, method };
  const kind = gcpOperation(operation)?.kind ?? "change";
  return gate.call(operation, resource, async (leave) => {
    leave(place, "later");
    const id = context.host.random.uuidv7();
    const send = transport(context.dial, { timeoutMs: GCP_CALL_TIMEOUT_MS, maxBytes: MAX_GCP_ANSWER_BYTES });
    const request: WireRequest = {
      protocol: url.protocol === "http:" ? "http:" : "https:",
      hostname: url.hostname,
      port: url.port === "" ? null : Number(url.port),
      method,
      path: `${url.pathname}${url.search}`,
      headers: {
        Authorization: `Bearer ${token}`,
        // The audit log keeps it whole: the call's own id stands where Google gives none.
        "User-Agent": `reeve/${context.version} cmd/${command} call/${id}`,
        Accept: "application/json",
        ...(body === null ? {} : { "Content-Type": "application/json" }),
      },
      body,
    };
    let answer: Awaited<ReturnType<typeof send>>;
    try {
      answer = await send(request, (moment) => leave(place, moment));
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      throw new CallFailed(error.status, error.message, kind === "change" && error.bytesLeft ? "unknown" : "none");
    }
    if (answer.status !== 200) {
      const failed = failureOf(answer, kind, id);
      if (failed.status === "credentials-invalid") context.tokens.forget(token);
      throw failed;
    }
    const json = jsonOf(answer.body);
    if (typeof json !== "object" || json === null || Array.isArray(json))
      throw new CallFailed("malformed", "the answer is no JSON object", kind === "change" ? "unknown" : "none", id);
    return { value: answer.body, request: id };
  });
}
