/** A platform's token issuer, as far as tokens and the keys that it publishes go (RFC 7515, 7517). It is made of node:crypto alone. */
import { createHmac, generateKeyPairSync, type KeyObject, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { join } from "node:path";
import { running } from "../e2e/world.ts";
import { listening } from "../gcp/world/listening.ts";

export type Signer = { readonly kid: string; readonly publicKey: KeyObject; readonly privateKey: KeyObject };
export type Jwk = Record<string, unknown>;

export function newSigner(bits = 2048): Signer {
  return { kid: randomUUID(), ...generateKeyPairSync("rsa", { modulusLength: bits }) };
}

export function jwkOf({ kid, publicKey }: Signer, more: Jwk = {}): Jwk {
  return { ...publicKey.export({ format: "jwk" }), kid, use: "sig", alg: "RS256", ...more };
}

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token as the platform makes it. `header`: what it says beside or instead. */
export function token(claims: Jwk, { kid, privateKey }: Signer, header: Jwk = {}): string {
  const text = `${part({ alg: "RS256", kid, typ: "JWT", ...header })}.${part(claims)}`;
  return `${text}.${sign("sha256", Buffer.from(text), privateKey).toString("base64url")}`;
}

/** Signed by nothing but a digest whose key everybody has: the published key's own text. */
export function keyedToken(claims: Jwk, { kid, publicKey }: Signer): string {
  const text = `${part({ alg: "HS256", kid, typ: "JWT" })}.${part(claims)}`;
  const key = publicKey.export({ type: "spki", format: "pem" });
  return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
}

export type Issuer = {
  readonly signer: Signer;
  /** What is published: the signer's key at first. */
  keys: Jwk[];
  /** Paths of requests that came, those that a redirect led on too. */
  readonly asked: string[];
  /** HOST:PORT, and the file of the CA that vouches for it. */
  readonly at: string;
  readonly ca: string;
  stop(): Promise<void>;
};

/** A certificate for `host` on this machine, of an authority of its own. */
async function identityFor(host: string, folder: string): Promise<{ readonly key: string; readonly cert: string }> {
  const at = (name: string): string => join(folder, `${host}-${name}`);
  const openssl = async (...args: string[]): Promise<void> => {
    const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    const done = await running("/usr/bin/openssl", ...made, ...args);
    if (done.code !== 0) throw new Error(done.stderr);
  };
  await openssl("-subj", "/CN=platform", "-keyout", at("ca.key"), "-out", at("ca.pem"));
  const names = ["-addext", `subjectAltName=IP:127.0.0.1,DNS:${host}`, "-addext", "basicConstraints=critical,CA:FALSE"];
  const by = ["-CA", at("ca.pem"), "-CAkey", at("ca.key")];
  await openssl("-subj", `/CN=${host}`, ...names, ...by, "-keyout", at("key.pem"), "-out", at("cert.pem"));
  return { key: readFileSync(at("key.pem"), "utf8"), cert: readFileSync(at("cert.pem"), "utf8") };
}

function say(response: ServerResponse, body: string): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(body);
}

/** What stands under a path instead of keys. */
const INSTEAD: Readonly<Record<string, (response: ServerResponse, request: IncomingMessage) => void>> = {
  "/redirect": (response, { headers }) => {
    response.writeHead(302, { location: `https://${headers.host}/elsewhere` });
    response.end();
  },
  "/hang": () => undefined,
  "/huge": (response) => say(response, JSON.stringify({ keys: [], padding: "x".repeat(1024 * 1024) })),
  "/endless": (response) => {
    response.writeHead(200, { "content-type": "application/json" });
    const more = (): void => {
      if (response.destroyed) return;
      response.write(" ");
      setTimeout(more, 50);
    };
    more();
  },
  "/no-keys": (response) => say(response, "<html>a proxy's page</html>"),
  "/error": (response) => {
    response.writeHead(503);
    response.end();
  },
};

/** Publishes as `host`, over TLS on a port of its own. Under some paths stands something else than keys. */
export async function startIssuer(host: string, folder: string): Promise<Issuer> {
  const identity = await identityFor(host, folder);
  const signer = newSigner();
  const self: Omit<Issuer, "at" | "ca" | "stop"> = { signer, keys: [jwkOf(signer)], asked: [] };
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const path = request.url ?? "";
    self.asked.push(path);
    const other = INSTEAD[path];
    if (other === undefined) say(response, JSON.stringify({ keys: self.keys }));
    else other(response, request);
  };
  const { port, stop } = await listening(createServer(identity, answer), "https");
  return Object.assign(self, { at: `127.0.0.1:${port}`, ca: join(folder, `${host}-ca.pem`), stop });
}
