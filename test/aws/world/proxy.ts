import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { decodeCall, encodeAnswer, encodeError, type Message, type Reply, type Structure } from "./codec.ts";
import { type Fault, type Rule, striking } from "./faults.ts";
import type { Keys } from "./keys.ts";
import { type Made, ServiceError } from "./made.ts";
import { errorsOf, type Model, modelOf, type Service } from "./model.ts";
import { isSigned, type Scope, scopeOf } from "./signature.ts";

/** One service as AWS behaves, on top of moto. */
export type Behaviour = {
  /** What IAM judges about a call. */
  about(operation: string, params: Structure, region: string): Promise<Pick<Made, "resources" | "context">>;
  /** Does it; throws a ServiceError. Sets `made.changed` when something is different now. */
  answer(made: Made): Promise<Structure>;
};

export type ProxyOptions = {
  readonly service: Service;
  readonly behaviour: Behaviour;
  /** The region whose endpoint this is: a signature for another one is refused. */
  readonly region: () => string;
  readonly keys: Keys;
  readonly rules: readonly Rule[];
  /** Throws a ServiceError when IAM says no. */
  readonly authorize: (made: Made) => Promise<void>;
  readonly record: (made: Made) => void;
  /** Called before the call is looked at and after it was done; not when it was refused. */
  readonly between: (made: Made, moment: "before" | "after") => Promise<void>;
  /** Our own mistakes: the tests assert that there were none. */
  readonly problem: (words: string) => void;
};

type Asked = { readonly model: Model; readonly message: Message; readonly scope: Scope; readonly made: Made };

const EC2 = {
  denied: "UnauthorizedOperation",
  expired: "RequestExpired",
  "unknown-key": "AuthFailure",
  signature: "AuthFailure",
  invalid: "InvalidParameterValue",
} as const;

/** AWS's own name for what XML and JSON services call differently. */
export function codeFor(model: Model, kind: "denied" | "expired" | "unknown-key" | "signature" | "invalid"): string {
  if (model.metadata.protocol === "ec2") return EC2[kind];
  const json = model.metadata.protocol === "json";
  if (kind === "denied") return json ? "AccessDeniedException" : "AccessDenied";
  if (kind === "expired") return json ? "ExpiredTokenException" : "ExpiredToken";
  if (kind === "unknown-key") return json ? "UnrecognizedClientException" : "InvalidClientTokenId";
  if (kind === "signature") return json ? "InvalidSignatureException" : "SignatureDoesNotMatch";
  return json ? "ValidationException" : "ValidationError";
}

/** The status of an error that the operation may answer with; throws for a code that AWS's model does not have. */
export function statusOf(model: Model, operation: string, code: string): number {
  const status = errorsOf(model, operation).get(code);
  if (status === undefined) throw new Error(`${model.service}:${operation} declares no ${code}`);
  return status;
}

async function read(incoming: IncomingMessage): Promise<Message> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const headers = Object.fromEntries(
    Object.entries(incoming.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(",") : (value ?? ""),
    ]),
  );
  const body = Buffer.concat(chunks).toString("utf8");
  return { method: incoming.method ?? "", path: incoming.url ?? "", headers, body };
}

/** Who is asking, as AWS finds out before anything else. Throws a ServiceError. */
function authenticate({ model, message, scope, made }: Asked, options: ProxyOptions): void {
  const region = options.region();
  const key = options.keys.find(scope.accessKey);
  if (key === null || key.secret.token !== (message.headers["x-amz-security-token"] ?? null))
    throw new ServiceError(codeFor(model, "unknown-key"), "The security token included in the request is invalid.");
  if (key.expires <= Date.now())
    throw new ServiceError(codeFor(model, "expired"), "The security token included in the request is expired");
  if (scope.region !== region || scope.service !== options.service) {
    const wanted =
      scope.region !== region ? `a valid region, not '${scope.region}'` : `correct service: '${options.service}'`;
    throw new ServiceError(codeFor(model, "signature"), `Credential should be scoped to ${wanted}.`);
  }
  if (!isSigned(message, scope, key.secret.secretKey))
    throw new ServiceError(
      codeFor(model, "signature"),
      "The request signature we calculated does not match the signature you provided.",
    );
  made.principal = key.principal;
}

function failed({ model, made }: Asked, error: unknown, options: ProxyOptions): Reply {
  const known = error instanceof ServiceError ? error : new ServiceError("InternalFailure", String(error));
  if (!(error instanceof ServiceError)) options.problem(`${made.service}:${made.operation}: ${String(error)}`);
  made.error = known.code;
  made.message = known.message;
  const status = known.status ?? statusOf(model, made.operation, known.code);
  return encodeError(model, known.code, status, known.message, made.id);
}

/** What AWS says to the call, without anything going wrong on the way. */
async function serve(asked: Asked, options: ProxyOptions): Promise<Reply> {
  const { model, made } = asked;
  made.reached = true;
  try {
    authenticate(asked, options);
    await options.authorize(made);
    made.result = await options.behaviour.answer(made);
    return encodeAnswer(model, made.operation, made.result, made.id);
  } catch (error) {
    return failed(asked, error, options);
  }
}

function page(status: number): Reply {
  const body = `<html><head><title>${status}</title></head><body><center><h1>${status}</h1></center></body></html>`;
  return { status, headers: { "content-type": "text/html" }, body };
}

function declared(asked: Asked, { code, status, when }: Extract<Fault, { kind: "error" }>): Reply {
  const { model, made } = asked;
  const usual = statusOf(model, made.operation, code);
  if (status !== undefined && status !== usual && !(code.startsWith("Throttling") && status === 503))
    throw new Error(`${code} does not come with ${status}`);
  const message = code.startsWith("Throttling") ? "Rate exceeded" : `${code} (as a test has it)`;
  // Afterwards, CloudTrail has the call as it went, not the answer that was spoiled.
  if (when === "before") {
    made.error = code;
    made.message = message;
  }
  return encodeError(model, code, status ?? usual, message, made.id);
}

/** The fault's own answer instead of the service's: null when it leaves that one as it is, "drop" when nothing is answered. */
function instead(asked: Asked, fault: Fault): Reply | "drop" | null {
  if (fault.kind === "drop") return "drop";
  if (fault.kind === "error") return declared(asked, fault);
  if (fault.kind === "page") return page(fault.status);
  if (fault.kind === "redirect") return { status: fault.status, headers: { location: fault.to }, body: "" };
  return null;
}

/** What the fault makes of an answer that is on its way. */
function spoiled(reply: Reply, fault: Fault): Reply {
  if (fault.kind === "garbage") return { ...reply, body: "\u0000 neither XML nor JSON" };
  if (fault.kind === "type") return { ...reply, headers: { ...reply.headers, "content-type": fault.type } };
  return reply;
}

const isBefore = (fault: Fault) => fault.kind === "redirect" || ("when" in fault && fault.when === "before");

async function pause(faults: readonly Fault[]): Promise<void> {
  for (const fault of faults) if (fault.kind === "delay") await Bun.sleep(fault.milliseconds);
}

function write(response: ServerResponse, reply: Reply, truncate: boolean): void {
  const body = Buffer.from(reply.body);
  response.writeHead(reply.status, { ...reply.headers, "content-length": body.length });
  if (!truncate) {
    response.end(body);
    return;
  }
  response.write(body.subarray(0, Math.floor(body.length / 2)));
  setTimeout(() => response.socket?.destroy(), 20);
}

async function asked(message: Message, options: ProxyOptions): Promise<Asked> {
  const model = modelOf(options.service);
  const scope = scopeOf(message);
  if (scope === null) throw new RangeError("an unsigned request");
  const { operation, params } = decodeCall(model, message);
  const token = params["IdempotencyToken"] ?? params["ClientToken"];
  const made: Made = {
    id: randomUUID(),
    at: Date.now(),
    service: options.service,
    operation,
    params,
    host: message.headers["host"] ?? "",
    method: message.method,
    region: scope.region,
    userAgent: message.headers["user-agent"] ?? "",
    accessKey: scope.accessKey,
    ...(await options.behaviour.about(operation, params, scope.region)),
    token: typeof token === "string" ? token : null,
    principal: null,
    reached: false,
    changed: false,
    error: null,
    message: null,
    result: null,
    heard: false,
  };
  return { model, message, scope, made };
}

async function handle(incoming: IncomingMessage, response: ServerResponse, options: ProxyOptions): Promise<void> {
  const one = await asked(await read(incoming), options);
  const { made } = one;
  options.record(made);
  const faults = striking(options.rules, made);
  const [before, after] = [faults.filter(isBefore), faults.filter((fault) => !isBefore(fault))];
  await options.between(made, "before");
  await pause(before);
  const early = before.map((fault) => instead(one, fault)).find((reply) => reply !== null);
  if (early !== undefined && early !== "drop") {
    // An error in the service's own words was given by the service: CloudTrail has it.
    made.reached = made.error !== null;
    write(response, early, false);
    return;
  }
  if (early === "drop") {
    incoming.socket.destroy();
    return;
  }
  const reply = await serve(one, options);
  if (made.error === null) await options.between(made, "after");
  await pause(after);
  const late = after.map((fault) => instead(one, fault)).find((found) => found !== null);
  if (late === "drop") {
    incoming.socket.destroy();
    return;
  }
  made.heard = after.every(({ kind }) => kind === "delay");
  const last = after.reduce(spoiled, late ?? reply);
  write(
    response,
    last,
    after.some(({ kind }) => kind === "truncate"),
  );
}

/** Listens on a loopback port of its own; every call is answered or dropped, whatever comes. */
export async function startProxy(options: ProxyOptions): Promise<{ host: string; stop(): Promise<void> }> {
  const server: Server = createServer((incoming, response) => {
    handle(incoming, response, options).catch((error: unknown) => {
      options.problem(`${options.service}: ${String(error)}`);
      write(response, page(500), false);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    host: `127.0.0.1:${address.port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
