/** Compute Engine's metadata server as its documentation describes it: every read and every answer carries `Metadata-Flavor: Google`. */
import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { listening } from "./listening.ts";

export type MetadataFault =
  | "none"
  /** Something else answers there: it does not say the flavour. */
  | "stranger"
  | "slow"
  /** The machine has no service account. */
  | "no-account"
  | "nothing-but-errors"
  | "malformed-token";
export type MetadataSwitches = {
  fault: MetadataFault;
  slowMilliseconds: number;
  project: string;
  account: string;
  tokenSeconds: number;
  /** The group that made this machine, as `created-by` says it; null: none. */
  createdBy: string | null;
  instance: { readonly id: string; readonly name: string; readonly zone: string; readonly projectNumber: string };
  /** Makes an identity token of what it is to say. */
  sign: (claims: Readonly<Record<string, unknown>>) => string;
};
export type Tokens = {
  /** The account of a token that holds now; null: of none. */
  account(token: string): string | null;
  /** A token of the account, as the metadata server gives it. */
  give(account: string, seconds: number): string;
  expire(): void;
};

export function makeTokens(): Tokens {
  const given = new Map<string, { account: string; until: number }>();
  return {
    account(token) {
      const found = given.get(token);
      return found !== undefined && found.until > Date.now() ? found.account : null;
    },
    give(account, seconds) {
      const token = `ya29.c.${randomBytes(48).toString("base64url")}`;
      given.set(token, { account, until: Date.now() + seconds * 1000 });
      return token;
    },
    expire() {
      for (const one of given.values()) one.until = 0;
    },
  };
}

/** Nobody's signature: for worlds in which nobody looks at it. */
export function unsigned(claims: Readonly<Record<string, unknown>>): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "RS256", kid: "world", typ: "JWT" })}.${part(claims)}.${randomBytes(256).toString("base64url")}`;
}

/** "Verifying the identity of VM instances": what the token says; of the instance, only where the full format is asked for. */
function identity({ project, account, instance }: MetadataSwitches, query: URLSearchParams): Record<string, unknown> {
  const iat = Math.floor(Date.now() / 1000);
  const claims = {
    ...{ aud: query.get("audience"), azp: "107517467455664443765", email: account, email_verified: true },
    ...{ exp: iat + 3600, iat, iss: "https://accounts.google.com", sub: "107517467455664443765" },
  };
  if (query.get("format") !== "full") return claims;
  const compute_engine = {
    ...{ instance_creation_timestamp: iat - 60, instance_id: instance.id, instance_name: instance.name },
    ...{ project_id: project, project_number: Number(instance.projectNumber), zone: instance.zone },
  };
  return { ...claims, google: { compute_engine } };
}

function text(url: URL, switches: MetadataSwitches, tokens: Tokens): string | null {
  const path = url.pathname;
  const { project, account, instance, createdBy, tokenSeconds, fault } = switches;
  const below = "/computeMetadata/v1";
  if (path === `${below}/project/project-id`) return project;
  if (path === `${below}/project/numeric-project-id`) return instance.projectNumber;
  if (path === `${below}/instance/id`) return instance.id;
  if (path === `${below}/instance/name`) return instance.name;
  if (path === `${below}/instance/zone`) return `projects/${instance.projectNumber}/zones/${instance.zone}`;
  if (path === `${below}/instance/attributes/created-by`) return createdBy;
  const [, who, what] =
    /^\/computeMetadata\/v1\/instance\/service-accounts\/([^/]+)\/(email|token|identity)$/.exec(path) ?? [];
  if (fault === "no-account" || (who !== "default" && who !== account)) return null;
  if (what === "email") return account;
  if (what === "identity")
    return url.searchParams.has("audience") ? switches.sign(identity(switches, url.searchParams)) : null;
  if (fault === "malformed-token") return JSON.stringify({ access_token: "", expires_in: "soon" });
  return JSON.stringify({
    access_token: tokens.give(account, tokenSeconds),
    expires_in: tokenSeconds,
    token_type: "Bearer",
  });
}

async function answer(incoming: IncomingMessage, response: ServerResponse, switches: MetadataSwitches, tokens: Tokens) {
  const url = new URL(incoming.url ?? "/", "http://metadata");
  if (switches.fault === "slow") await Bun.sleep(switches.slowMilliseconds);
  if (switches.fault === "nothing-but-errors") {
    response.writeHead(503, { "metadata-flavor": "Google" }).end();
    return;
  }
  if (switches.fault === "stranger") {
    response.writeHead(200, { "content-type": "text/plain" }).end("welcome");
    return;
  }
  const flavour = { "metadata-flavor": "Google", server: "Metadata Server for VM" };
  if (incoming.headers["metadata-flavor"] !== "Google" || incoming.headers["x-forwarded-for"] !== undefined) {
    response.writeHead(403, flavour).end("Missing required header: Metadata-Flavor");
    return;
  }
  const found = incoming.method === "GET" ? text(url, switches, tokens) : null;
  const type = url.pathname.endsWith("/token") ? "application/json" : "application/text";
  response.writeHead(found === null ? 404 : 200, { ...flavour, "content-type": type }).end(found ?? "");
}

export async function startMetadata(switches: MetadataSwitches, tokens: Tokens, calls: string[]) {
  const server = createServer((incoming, response) => {
    calls.push(`${incoming.method} ${incoming.url}`);
    answer(incoming, response, switches, tokens).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  return listening(server, "http");
}
