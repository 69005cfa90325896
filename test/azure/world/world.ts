/**
 * What stands for Azure: Resource Manager (scale sets, DNS), one key vault and the machine's metadata, on one plain port of this machine and
 * one with TLS. Every request and every answer is held to Azure's own description; what is not as described is a problem, and a test fails.
 */
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTls } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ActionOf, actionOf } from "./actions.ts";
import { answerFaults, type Found, found, requestFaults } from "./description.ts";
import { type Answer, type Fault, type Made, Refused, type Rule, striking } from "./made.ts";
import { type Identity, type Machine, machine } from "./metadata.ts";
import { type Assignment, permitted } from "./rights.ts";
import { type Scaling, scaling } from "./scaling.ts";
import { writeTrail } from "./trail.ts";
import { type KeyType, type Vault, vault } from "./vault.ts";
import { type Zone, zone } from "./zone.ts";

export const SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-cb9272f09590";
export const TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47";
export const GROUP = "prod-eu-1";
export const LOCATION = "westeurope";

export type WorldOptions = {
  readonly capacity?: number;
  readonly takesMs?: number;
  readonly keyType?: KeyType;
};

type Hook = (made: Made) => Promise<void> | void;

export type World = {
  readonly url: string;
  readonly tlsUrl: string;
  /** The certificate of the authority that vouches for `tlsUrl`, PEM. */
  readonly tlsRoot: string;
  readonly identity: Identity;
  readonly user: Identity;
  readonly machine: Machine;
  readonly group: Scaling;
  readonly zone: Zone & { readonly name: string };
  readonly vault: Vault & { readonly authority: string };
  readonly calls: Made[];
  /** What was not as Azure describes it, or broke in the world itself. */
  readonly problems: string[];
  /** Null: everything is permitted. */
  assignments: readonly Assignment[] | null;
  fault(action: string, fault: Fault, more?: { skip?: number; times?: number }): Rule;
  /** Called once, when the next call of this action is about to have its effect, or had it. */
  at(action: string, moment: "before" | "after", hook: Hook): void;
  trail(folder: string): void;
  stop(): Promise<void>;
};

const OPERATION = /^\/subscriptions\/([^/]+)\/providers\/Microsoft\.Compute\/locations\/([^/]+)\/operations\/([^/]+)$/i;

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const identity: Identity = {
    ...{ tenant: TENANT, principal: randomUUID(), client: randomUUID() },
    resource: `/subscriptions/${SUBSCRIPTION}/resourcegroups/${GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/agents`,
  };
  const user: Identity = {
    ...{ tenant: TENANT, principal: randomUUID(), client: randomUUID() },
    resource: `/subscriptions/${SUBSCRIPTION}/resourcegroups/${GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reeve`,
  };
  const place = { subscription: SUBSCRIPTION, resourceGroup: GROUP, location: LOCATION };
  const sockets = new Set<Socket>();
  let origin = "";
  const group = scaling({ ...place, name: "brokers", capacity: options.capacity ?? 2, takesMs: options.takesMs ?? 30 });
  const zoneName = "prod-eu-1.example.com";
  const names = { name: "prod-eu-1-ca", key: "clients" };
  const keys = vault({ ...names, type: options.keyType ?? "P-256", origin: () => origin.replace("http:", "https:") });
  const rules: Rule[] = [];
  const hooks: { action: string; moment: "before" | "after"; hook: Hook }[] = [];
  const records = zone({ ...place, name: zoneName });
  const self: World = {
    url: "",
    tlsUrl: "",
    tlsRoot: "",
    identity,
    user,
    machine: machine({ ...place, system: identity, users: [user] }),
    group,
    zone: { ...records, name: zoneName },
    vault: { ...keys, authority: `${names.name}/${names.key}` },
    calls: [],
    problems: [],
    assignments: null,
    fault(action, fault, { skip = 0, times = 1 } = {}) {
      const rule: Rule = { action, fault, skip, times, hits: 0 };
      rules.push(rule);
      return rule;
    },
    at: (action, moment, hook) => void hooks.push({ action, moment, hook }),
    trail: (folder) => writeTrail(folder, self),
    async stop() {
      for (const socket of sockets) socket.destroy();
      await Promise.all([plain, secure].map((server) => new Promise((done) => server.close(done))));
    },
  };

  const service = (asked: ActionOf, made: Made, query: URLSearchParams): Answer => {
    const { named } = asked;
    const [name = "", type = "", record = ""] = named;
    switch (asked.is) {
      case "set":
        return group.get(name);
      case "instances":
        return group.list(name, made.host, query);
      case "resize":
        return group.update(name, made, made.host);
      case "upgrade":
        return group.upgrade(name, made, made.host);
      case "image":
        return group.image(name);
      case "operation":
        return group.operation(name);
      case "zone":
        return self.zone.zone(name);
      case "record":
        return self.zone.get(name, type, record);
      case "write":
        return self.zone.put(name, type, record, made);
      case "delete":
        return self.zone.remove(name, type, record, made);
      case "key":
        return self.vault.get(name, type);
      case "sign":
        return self.vault.sign(name, type, made);
    }
  };

  const bearer = (headers: IncomingMessage["headers"], data: boolean): void => {
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1];
    const known = token === undefined ? undefined : self.machine.tokens.get(token);
    const audience = data ? "https://vault.azure.net" : "https://management.azure.com";
    const challenge = data
      ? `Bearer authorization="https://login.microsoftonline.com/${TENANT}", resource="https://vault.azure.net"`
      : `Bearer authorization_uri="https://login.windows.net/${TENANT}", error="invalid_token"`;
    const no = (code: string, message: string) => new Refused(401, code, message, { "www-authenticate": challenge });
    if (token === undefined)
      throw no(
        data ? "Unauthorized" : "AuthenticationFailed",
        "Authentication failed. The 'Authorization' header is missing.",
      );
    if (known === undefined || known.audience.replace(/\/$/, "") !== audience)
      throw no(data ? "Unauthorized" : "InvalidAuthenticationToken", "The access token is invalid.");
    if (known.until * 1000 <= Date.now())
      throw no(
        data ? "Unauthorized" : "ExpiredAuthenticationToken",
        "The access token expiry is earlier than current time.",
      );
  };
  const judged = ({ action, data, scope }: Made): void => {
    if (self.assignments === null || permitted(self.assignments, action, data, scope)) return;
    const who = self.identity.client;
    const said = `The client '${who}' with object id '${self.identity.principal}' does not have authorization to perform action '${action}' over scope '${scope}' or the scope is invalid.`;
    throw data
      ? new Refused(403, "Forbidden", `Caller is not authorized to perform action on resource. Action: '${action}'`)
      : new Refused(403, "AuthorizationFailed", said);
  };

  const struck = async (moment: "before" | "after", made: Made): Promise<void> => {
    const at = hooks.findIndex((one) => one.action === made.action && one.moment === moment);
    if (at >= 0) await hooks.splice(at, 1)[0]?.hook(made);
  };
  const isAt = (fault: Fault | null, moment: "before" | "after"): boolean =>
    fault !== null && "when" in fault && fault.when === moment;

  /** Null: the answer is lost. */
  const answerTo = async (
    request: IncomingMessage,
    made: Made,
    asked: ActionOf,
    query: URLSearchParams,
  ): Promise<Answer | null> => {
    const fault = striking(rules, made.action);
    const lost = (): Answer | null => {
      if (fault === null || fault.kind !== "error") return null;
      made.error = fault.code;
      return {
        status: fault.status,
        body: { error: { code: fault.code, message: "It was so said." } },
        ...(fault.headers === undefined ? {} : { headers: fault.headers }),
      };
    };
    await struck("before", made);
    if (isAt(fault, "before")) return lost();
    if (fault?.kind === "redirect") return { status: 307, headers: { location: fault.to } };
    made.reached = true;
    let answer: Answer;
    try {
      bearer(request.headers, made.data);
      judged(made);
      answer = service(asked, made, query);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      made.error = error.code;
      answer = {
        status: error.status,
        body: { error: { code: error.code, message: error.message } },
        headers: error.headers,
      };
    }
    made.status = answer.status;
    if (made.found !== null) self.problems.push(...answerFaults(made.found, answer.status, answer.body));
    await struck("after", made);
    if (isAt(fault, "after")) return lost();
    if (fault?.kind === "garbage") return { ...answer, body: "<html>a proxy's page" };
    if (fault?.kind === "truncate") return { ...answer, headers: { ...answer.headers, "x-cut": "1" } };
    return answer;
  };

  const write = (response: ServerResponse, made: Made, answer: Answer): void => {
    const { status, body, headers = {} } = answer;
    const text = body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
    const { "x-cut": cut, ...said } = headers;
    const ids = made.data
      ? { "x-ms-request-id": randomUUID(), "x-ms-client-request-id": made.clientRequestId }
      : { "x-ms-request-id": randomUUID(), "x-ms-correlation-request-id": made.id };
    const length = Buffer.byteLength(text) + (cut === undefined ? 0 : 20);
    response.writeHead(status, {
      ...ids,
      ...(body === undefined ? {} : { "content-type": "application/json; charset=utf-8" }),
      ...(status === 204 ? {} : { "content-length": length }),
      ...said,
    });
    if (cut === undefined) response.end(text);
    else response.write(text, () => response.socket?.destroy());
  };

  const handle = async (request: IncomingMessage, response: ServerResponse, bytes: Buffer): Promise<void> => {
    const url = new URL(request.url ?? "/", "http://any");
    if (url.pathname.startsWith("/metadata/")) {
      const { status, body } = await self.machine.answer(url, request.headers);
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
      return;
    }
    const { method = "" } = request;
    const described: Found | null = found(method, url.pathname);
    const operation = OPERATION.exec(url.pathname);
    const asked = actionOf(described, method, operation, {
      subscription: SUBSCRIPTION,
      resourceGroup: GROUP,
      vault: names.name,
    });
    if (asked === null) {
      self.problems.push(`${method} ${url.pathname} is no operation that Azure describes`);
      response.writeHead(404).end();
      return;
    }
    let body: unknown;
    try {
      body = bytes.length === 0 ? undefined : JSON.parse(bytes.toString("utf8"));
    } catch {
      self.problems.push(`${method} ${url.pathname}: a body that is not JSON`);
    }
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, [value].flat().join(", ")]),
    );
    const { "x-ms-client-request-id": clientRequestId = "" } = headers;
    const made: Made = {
      // Key Vault's own log knows a call by the id that the client gave it.
      id: asked.data ? clientRequestId : randomUUID(),
      at: Date.now(),
      ...{ action: asked.action, data: asked.data, scope: asked.scope, method, path: url.pathname },
      host: `${"encrypted" in request.socket ? "https" : "http"}://${request.headers.host ?? ""}`,
      userAgent: headers["user-agent"] ?? "",
      ...{ clientRequestId, headers, body, found: described },
      ...{ reached: false, changed: false, status: 0, error: null },
    };
    self.calls.push(made);
    // Key Vault's clients ask for the challenge first, without a body.
    const challenged = asked.data && request.headers.authorization === undefined;
    if (described !== null && !challenged)
      self.problems.push(...requestFaults(described, { query: url.searchParams, headers, body }));
    if (url.searchParams.get("api-version") === null) self.problems.push(`${made.action}: no api-version`);
    const answer = await answerTo(request, made, asked, url.searchParams);
    if (answer === null) request.socket.destroy();
    else write(response, made, answer);
  };
  const listener: RequestListener = (request, response) => {
    const chunks: Uint8Array[] = [];
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    request.on("end", () => {
      handle(request, response, Buffer.concat(chunks)).catch((error: unknown) => {
        self.problems.push(`the world broke: ${error instanceof Error ? error.stack : String(error)}`);
        request.socket.destroy();
      });
    });
  };

  const tls = certificates();
  const plain = createServer(listener);
  const secure = createTls({ key: tls.key, cert: tls.cert }, listener);
  for (const server of [plain, secure])
    server.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => sockets.delete(socket));
    });
  const [port, tlsPort] = [await listens(plain), await listens(secure)];
  origin = `http://127.0.0.1:${port}`;
  return Object.assign(self, { url: origin, tlsUrl: `https://localhost:${tlsPort}`, tlsRoot: tls.root });
}

function listens(server: Server): Promise<number> {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));
}

/** An authority of the world's own and a certificate for localhost. */
function certificates(): { readonly key: string; readonly cert: string; readonly root: string } {
  const folder = mkdtempSync(join(tmpdir(), "reeve-azure-tls-"));
  const ran = (...args: string[]): void => {
    const done = spawnSync("openssl", args, { cwd: folder });
    if (done.status !== 0) throw new Error(String(done.stderr));
  };
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  ran(
    "req",
    "-x509",
    ...ec,
    "-subj",
    "/CN=world",
    "-addext",
    "keyUsage=critical,keyCertSign",
    "-keyout",
    "ca.key",
    "-out",
    "ca.crt",
  );
  const leaf = [
    "-addext",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
    "-addext",
    "basicConstraints=critical,CA:FALSE",
  ];
  ran(
    "req",
    "-x509",
    ...ec,
    "-subj",
    "/CN=localhost",
    ...leaf,
    "-CA",
    "ca.crt",
    "-CAkey",
    "ca.key",
    "-keyout",
    "key",
    "-out",
    "crt",
  );
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  const made = { key: read("key"), cert: read("crt"), root: read("ca.crt") };
  rmSync(folder, { recursive: true, force: true });
  return made;
}
