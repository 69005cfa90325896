import type { Host } from "../../agent/host/host.ts";
import type { AwsConfig } from "../../agent/providerConfig/aws.ts";
import {
  CallFailed,
  type Errand,
  type Gate,
  GateBreach,
  Halted,
  type Leave,
  type Moment,
  type Setting,
} from "../provider.ts";
import { NoAnswer, transport } from "../transport.ts";
import { type ClientOf, type Credentials, clientOf, type Makers } from "./clients.ts";
import { inCommonForm } from "./commonError.ts";
import { endpointOf } from "./endpoints.ts";
import { awsFailure, OF_CREDENTIALS, PASSING, requestIdOf } from "./failure.ts";
import { AWS_CALL_TIMEOUT_MS, MAX_ATTEMPTS, MAX_AWS_ANSWER_BYTES, RETRY_FIRST_MS, RETRY_MAX_MS } from "./limits.ts";
import { awsOperation, type Service } from "./operations.ts";
import { type About, resourceOfInput } from "./resource.ts";
import { hostOf, type SdkRequest, sdkResponse, wireOf } from "./sdkRequest.ts";

/** Credentials that hold now and were compared with the config. Throws CallFailed: never a call without. */
export type CredentialSource = {
  current(command: string): Promise<Credentials>;
  /** AWS does not take them any more. */
  forget(credentials: Credentials): void;
};

export type AwsContext = Setting & {
  readonly aws: AwsConfig;
  readonly credentials: CredentialSource;
};

/** All calls of one command: its gate, what it is about, and the ids that its own changes were answered with. */
export type AwsCalls = {
  /**
   * `send` is given a client that can make this one call: `send("autoscaling", (client) => client.send(new …Command(…)))`. What the SDK is
   * about to send, its operation and its resource, goes through the gate; where it goes, once more before and after it is signed.
   * Throws CallFailed with AWS's request id, Halted, and GateBreach. Reads, and changes with a token, are tried again; each try is a call.
   */
  send<S extends Service, Output>(service: S, send: (client: ClientOf[S]) => Promise<Output>): Promise<Output>;
  readonly changeIds: Set<string>;
  /** What the group's own description, and this command's own calls, named: its launch template, that one's versions (`ID:NUMBER`), that nobody shares it (`ID alone`), its instances. */
  readonly known: Set<string>;
};

/** `image` of a deploy, `count` of a scale: what the command was judged for, and the gate holds its changes to. */
export function awsCalls(
  context: AwsContext,
  gate: Gate,
  errand: Errand,
  resource: string,
  {
    makers,
    image = null,
    count = null,
  }: Partial<Pick<About, "image" | "count">> & { readonly makers?: Makers | undefined } = {},
): AwsCalls {
  const changeIds = new Set<string>();
  const known = new Set<string>();
  const about: About = { resource, changeIds, known, command: errand.id, image, count };
  return {
    changeIds,
    known,
    async send(service, send) {
      let lost = false;
      for (let attempt = 1; ; attempt++) {
        const call = oneCall(service, about, gate, makers);
        let credentials: Credentials | null = null;
        try {
          credentials = await context.credentials.current(errand.id);
          return await send(call.client(context, credentials, errand.id));
        } catch (error) {
          const failed = lost ? inDoubt(error) : error;
          if (!(error instanceof CallFailed)) throw failed;
          if (credentials !== null && OF_CREDENTIALS.has(error.status)) context.credentials.forget(credentials);
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

type OneCall<S extends Service> = {
  client(context: AwsContext, credentials: Credentials, command: string): ClientOf[S];
  again(): boolean;
};

type Middleware<Args, Output> = (
  next: (args: Args) => Promise<Output>,
  context: { readonly commandName?: string },
) => (args: Args) => Promise<Output>;
/** What is used of a client's middleware stack, the same in both generations of the SDK. */
type Stack = {
  add(middleware: Middleware<Begun, Done>, at: { step: "initialize"; priority: "high"; name: string }): void;
  addRelativeTo(
    middleware: Middleware<{ readonly request: SdkRequest }, unknown>,
    at: { relation: "before"; toMiddleware: "httpSigningMiddleware"; name: string },
  ): void;
};
type Begun = { readonly input: Readonly<Record<string, unknown>> };
type Done = { readonly output: unknown };

function oneCall<S extends Service>(service: S, about: About, gate: Gate, makers?: Makers): OneCall<S> {
  let leave: Leave | null = null;
  let again = false;
  const leaves = (request: SdkRequest, region: string, moment: Moment): void => {
    if (leave === null) throw new Error("a request of no call");
    leave({ host: hostOf(request), region, method: request.method }, moment);
  };
  return {
    again: () => again,
    client(context, credentials, command) {
      const endpoint = endpointOf(context.aws, service);
      const userAgent = [
        ["reeve", context.version],
        ["cmd", command],
      ] as const;
      const answered: Sent = { sent: false, request: null, http: 0 };
      const send = transport(context.dial, { timeoutMs: AWS_CALL_TIMEOUT_MS, maxBytes: MAX_AWS_ANSWER_BYTES });
      const client = clientOf(
        service,
        endpoint,
        credentials,
        userAgent,
        async (request) => {
          const region = signedRegion(request, service);
          leaves(request, region, "later");
          const answer = sdkResponse(await send(wireOf(request), (moment) => leaves(request, region, moment)));
          answered.sent = true;
          answered.request = requestIdOf(answer.response.headers);
          answered.http = answer.response.statusCode;
          return service === "route53" ? inCommonForm(answer) : answer;
        },
        makers,
      );
      const stack = client.middlewareStack as unknown as Stack;
      stack.add(
        (next, { commandName = "" }) =>
          (begun) => {
            const operation = `${service}:${commandName.replace(/Command$/, "")}`;
            const row = awsOperation(operation);
            again = row?.again ?? false;
            return gate.call(operation, resourceOfInput(operation, begun.input, about), async (open) => {
              leave = open;
              return callOnce(() => next(begun), answered, row?.kind ?? "change");
            });
          },
        { step: "initialize", priority: "high", name: "gateBegins" },
      );
      stack.addRelativeTo(
        (next) => async (args) => {
          leaves(args.request, await regionOf(client), "later");
          return next(args);
        },
        { relation: "before", toMiddleware: "httpSigningMiddleware", name: "gateLeaves" },
      );
      return client;
    },
  };
}

type Sent = { sent: boolean; request: string | null; http: number };

async function callOnce(next: () => Promise<Done>, answered: Sent, kind: "read" | "change") {
  try {
    return { value: await next(), request: answered.request };
  } catch (error) {
    if (error instanceof GateBreach || error instanceof Halted || error instanceof CallFailed) throw error;
    if (error instanceof NoAnswer) throw awsFailure(error, kind, answered);
    // Nothing was sent: what the SDK says of our own input is our own mistake.
    if (!answered.sent || !(error instanceof Error)) throw error;
    throw awsFailure(error, kind, answered);
  }
}

async function regionOf(client: ClientOf[Service]): Promise<string> {
  return await client.config.region();
}

/** The region that a request is signed for, out of the signature's own scope (SigV4): `Credential=ID/DATE/REGION/SERVICE/aws4_request`. */
function signedRegion(request: SdkRequest, service: Service): string {
  const header = request.headers["authorization"] ?? request.headers["Authorization"] ?? "";
  const [, region, signedFor] =
    /^AWS4-HMAC-SHA256 Credential=[^/]+\/\d{8}\/([^/]+)\/([^/]+)\/aws4_request,/.exec(header) ?? [];
  if (region === undefined || signedFor !== service) return "(not signed for this service)";
  return hostNamed(request) ? region : "(another host in its header)";
}

/** The signed `host` header names where the connection goes. */
function hostNamed(request: SdkRequest): boolean {
  const named = request.headers["host"] ?? request.headers["Host"] ?? "";
  const port = request.port === undefined ? "" : `:${request.port}`;
  return named === `${request.hostname}${port}`;
}
