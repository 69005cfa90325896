import "reflect-metadata";
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify, webcrypto } from "node:crypto";
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import {
  BasicConstraintsExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { canonical, type Json } from "../../agent/wire/canonical.ts";

/** A scripted control plane for tests: what it answers follows DESIGN section 4; it counts what it saw. */
const P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
export const HOUR = 3_600_000;
export const CLUSTER = "prod-eu-1";
export const DOMAIN = "vendor.example";
export const AGENT = `spiffe://${DOMAIN}/cluster/${CLUSTER}/agent`;

export type Made = { readonly pem: string; readonly der: Uint8Array; readonly key: string };
type Pair = Awaited<ReturnType<typeof newKeys>>;
export type Ca = Made & { readonly keys: Pair; readonly name: string };

function newKeys() {
  return webcrypto.subtle.generateKey(P256, true, ["sign", "verify"]);
}
async function keyPem(keys: Pair): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY");
}

export async function makeCa(name: string): Promise<Ca> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: P256,
    notBefore: new Date(Date.now() - HOUR),
    notAfter: new Date(Date.now() + 1000 * HOUR),
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
    ],
  });
  const der = new Uint8Array(certificate.rawData);
  return { pem: certificate.toString("pem"), der, key: await keyPem(keys), keys, name };
}

export type Leaf = {
  readonly san: { readonly type: "ip" | "dns" | "url"; readonly value: string };
  readonly subject?: string;
  readonly from?: number;
  readonly until?: number;
  readonly publicKey?: webcrypto.CryptoKey;
  readonly extensions?: readonly Extension[];
};

export async function makeLeaf(ca: Ca, leaf: Leaf): Promise<Made> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.create({
    subject: leaf.subject ?? "",
    issuer: `CN=${ca.name}`,
    publicKey: (leaf.publicKey ?? keys.publicKey) as CryptoKey,
    signingKey: ca.keys.privateKey as CryptoKey,
    signingAlgorithm: P256,
    notBefore: new Date(leaf.from ?? Date.now() - HOUR / 60),
    notAfter: new Date(leaf.until ?? Date.now() + 24 * HOUR),
    extensions: [new SubjectAlternativeNameExtension([leaf.san]), ...(leaf.extensions ?? [])],
  });
  return { pem: certificate.toString("pem"), der: new Uint8Array(certificate.rawData), key: await keyPem(keys) };
}

export function jws(header: Json, payload: Json, key: KeyObject): string {
  const text = [header, payload].map((part) => Buffer.from(canonical(part)).toString("base64url")).join(".");
  return `${text}.${sign(null, Buffer.from(text), key).toString("base64url")}`;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export type CommandKey = { readonly kid: string; readonly x: string; readonly privateKey: KeyObject };
export function commandKey(kid: string): CommandKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return { kid, x: publicKey.export({ format: "jwk" }).x ?? "", privateKey };
}
export function pinOf(key: CommandKey): string {
  return createHash("sha256").update(`{"crv":"Ed25519","kty":"OKP","x":"${key.x}"}`).digest("base64url");
}
export function trustStatement(
  version: number,
  signer: CommandKey,
  keys: readonly CommandKey[],
  roots: readonly Uint8Array[],
  witnesses: readonly CommandKey[] = [],
): string {
  return jws(
    { alg: "Ed25519", jwk: { crv: "Ed25519", kty: "OKP", x: signer.x }, typ: "reeve-trust+jwt" },
    {
      iss: DOMAIN,
      aud: CLUSTER,
      version,
      iat: 1_700_000_000,
      roots: roots.map((root) => Buffer.from(root).toString("base64")),
      command_keys: keys.map(({ kid, x }) => ({ kid, x })),
      witness_keys: witnesses.map(({ kid, x }) => ({ kid, x })),
    },
    signer.privateKey,
  );
}

export type Issued = { readonly spki: string; readonly chain: readonly string[]; readonly serial: string };
export type Reply = { readonly status: number; readonly body: unknown; readonly headers?: Record<string, string> };
export type Plane = Awaited<ReturnType<typeof startPlane>>;

export async function startPlane(now: () => number = Date.now) {
  const ca = await makeCa("reeve test root");
  const first = commandKey("cmd-1");
  const serverLeaf = await makeLeaf(ca, { san: { type: "ip", value: "127.0.0.1" } });
  const tls = { key: serverLeaf.key, cert: `${serverLeaf.pem}\n${ca.pem}`, allowHTTP1: true };
  const plane = {
    ca,
    first,
    trust: [trustStatement(1, first, [first], [ca.der])] as string[],
    /** Public keys that came with a token. */
    enrolKeys: new Set<string>(),
    /** Public keys that came with renewals. */
    renewKeys: new Set<string>(),
    thefts: 0,
    /** Requests by an older certificate after a newer was used. */
    copies: 0,
    graces: 0,
    /** Serials of client certificates, one for each request on the agents' listener. */
    presented: [] as string[],
    connections: 0,
    bodies: [] as string[],
    /** How many answers are dropped after the request took effect. */
    lose: 0,
    /** Of the Date that its answers say, in milliseconds; null: they say none. */
    dateAhead: 0 as number | null,
    /** Instead of what it would answer. */
    script: null as ((path: string, body: string) => Reply | null | Promise<Reply | null>) | null,
    epoch: 1,
    current: null as Issued | null,
    next: null as Issued | null,
    retired: new Set<string>(),
    used: false,
    close() {
      enrolServer.close();
      agentsServer.close();
      for (const socket of sockets) socket.destroy();
    },
    url: "",
    agentsUrl: "",
    /** Changes the certificate that the next issue returns. */
    leafOptions: {} as Partial<Leaf>,
    issuer: ca,
    async token(claims: Record<string, Json> = {}) {
      const iat = Math.floor(now() / 1000) - 5;
      const all = {
        iss: DOMAIN,
        aud: "reeve-enrol",
        sub: CLUSTER,
        jti: crypto.randomUUID(),
        iat,
        exp: iat + 3600,
        url: plane.url,
        sha: sha256(ca.der),
      };
      return jws(
        { alg: "Ed25519", typ: "reeve-join+jwt" },
        { ...all, ...claims },
        generateKeyPairSync("ed25519").privateKey,
      );
    },
  };
  const burnt = new Map<string, string>();
  const nonces = new Set<string>();
  const sockets = new Set<TLSSocket>();

  async function issue(csr: string): Promise<Issued> {
    const request = new Pkcs10CertificateRequest(csr);
    if (!(await request.verify())) throw new Error("the request's signature is wrong");
    const spki = Buffer.from(request.publicKey.rawData).toString("base64");
    const made = await makeLeaf(plane.issuer, {
      san: { type: "url", value: AGENT },
      publicKey: (await request.publicKey.export()) as webcrypto.CryptoKey,
      until: now() + 24 * HOUR,
      ...plane.leafOptions,
    });
    const chain = [made.der, plane.issuer.der].map((der) => Buffer.from(der).toString("base64"));
    return { spki, chain, serial: sha256(made.der) };
  }
  const fault = (code: string, message = "no"): Reply => ({ status: 403, body: { code, message } });

  /** What is given for a token, or for a proof alone: that is the next epoch's. */
  async function given(body: { token: string | null; csr: string }): Promise<Reply | null> {
    const spki = Buffer.from(new Pkcs10CertificateRequest(body.csr).publicKey.rawData).toString("base64");
    plane.enrolKeys.add(spki);
    if (body.token === null) {
      if (plane.current?.spki !== spki) plane.epoch++;
      plane.current = await issue(body.csr);
      plane.next = null;
      return null;
    }
    const claims = JSON.parse(Buffer.from(body.token.split(".")[1] ?? "", "base64url").toString());
    if (claims.exp * 1000 < now()) return fault("token-expired");
    const by = burnt.get(claims.jti);
    if (by !== undefined && by !== spki) {
      plane.thefts++;
      return fault("token-theft");
    }
    if (by !== undefined && plane.used) return fault("token-burnt");
    if (by === undefined) {
      burnt.set(claims.jti, spki);
      plane.current = await issue(body.csr);
      plane.next = null;
      plane.used = false;
    }
    return null;
  }
  async function enroll(body: { token: string | null; csr: string }): Promise<Reply> {
    const refused = await given(body);
    if (refused !== null) return refused;
    return {
      status: 200,
      body: {
        chain: plane.current?.chain,
        trust: plane.trust,
        epoch: plane.epoch,
        enrolled_at: Math.floor(now() / 1000),
        agents_url: plane.agentsUrl,
      },
    };
  }
  async function renewed(csr: string): Promise<Reply> {
    const spki = Buffer.from(new Pkcs10CertificateRequest(csr).publicKey.rawData).toString("base64");
    plane.renewKeys.add(spki);
    if (plane.next?.spki !== spki) plane.next = await issue(csr);
    return { status: 200, body: { chain: plane.next.chain } };
  }
  async function grace(body: { csr: string; chain: string[]; nonce: string; signature: string }): Promise<Reply> {
    if (!nonces.delete(body.nonce)) return fault("certificate", "unknown nonce");
    if (body.chain[0] !== plane.current?.chain[0]) return fault("certificate", "not the current one");
    const key = createPublicKey({ key: Buffer.from(plane.current?.spki ?? "", "base64"), format: "der", type: "spki" });
    const text = Buffer.from(`reeve-renew\n${body.nonce}\n${body.csr}`);
    const good = verify("sha256", text, { key, dsaEncoding: "ieee-p1363" }, Buffer.from(body.signature, "base64url"));
    if (!good) return fault("certificate", "wrong signature");
    plane.graces++;
    return renewed(body.csr);
  }
  async function atEnrol(request: Http2ServerRequest, body: string): Promise<Reply> {
    if (request.url === "/v1/nonce") {
      const nonce = Buffer.from(webcrypto.getRandomValues(new Uint8Array(32))).toString("base64url");
      nonces.add(nonce);
      return { status: 200, body: { nonce, trust_domain: DOMAIN } };
    }
    plane.bodies.push(body);
    return request.url === "/v1/enroll" ? enroll(JSON.parse(body)) : grace(JSON.parse(body));
  }
  async function atAgents(request: Http2ServerRequest, body: string, raw: Buffer | undefined): Promise<Reply> {
    if (raw === undefined) throw new Error("a request without a client certificate");
    const serial = sha256(raw);
    plane.presented.push(serial);
    if (plane.retired.has(serial)) {
      plane.copies++;
      return fault("fenced", "a copy");
    }
    if (serial === plane.next?.serial) {
      plane.retired.add(plane.current?.serial ?? "");
      plane.current = plane.next;
      plane.next = null;
    }
    if (serial !== plane.current?.serial) return fault("certificate");
    plane.used = true;
    if (request.url === "/v1/renew") return renewed(JSON.parse(body).csr);
    return { status: 200, body: { next: 7 } };
  }

  function serve(handler: typeof atAgents, options: object): Promise<Http2SecureServer> {
    const server = createSecureServer({ ...tls, ...options });
    server.on("secureConnection", (socket: TLSSocket) => {
      plane.connections++;
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
    });
    server.on("request", (request: Http2ServerRequest, response: Http2ServerResponse) => {
      // Now: an aborted request has no session any more when its body has ended.
      const raw = (request.stream.session?.socket as TLSSocket | undefined)?.getPeerCertificate()?.raw;
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", async () => {
        const body = Buffer.concat(parts).toString();
        const scripted = await plane.script?.(request.url, body);
        const reply = scripted ?? (await handler(request, body, raw));
        if (plane.lose > 0 && request.url !== "/v1/nonce") {
          plane.lose--;
          request.stream.session?.destroy();
          return;
        }
        if (request.stream.destroyed) return;
        response.sendDate = false;
        const date = plane.dateAhead === null ? {} : { date: new Date(now() + plane.dateAhead).toUTCString() };
        response.writeHead(reply.status, {
          ...date,
          "content-type": "application/json",
          ...reply.headers,
        });
        response.end(typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body));
      });
    });
    return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
  }
  const urlOf = (server: Http2SecureServer) => `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const enrolServer = await serve(atEnrol, {});
  const agentsServer = await serve(atAgents, { requestCert: true, rejectUnauthorized: true, ca: ca.pem });
  plane.url = urlOf(enrolServer);
  plane.agentsUrl = urlOf(agentsServer);
  return plane;
}

/** A TLS server that only counts the application bytes that reach it. */
export async function countingServer(leaf: Made, sent: readonly Made[]) {
  const seen = { bytes: 0, connections: 0, url: "", close: () => undefined as unknown };
  const cert = [leaf, ...sent].map((made) => made.pem).join("\n");
  const server = createServer({ key: leaf.key, cert, ALPNProtocols: ["h2"] }, (socket) => {
    socket.on("data", (part) => {
      seen.bytes += part.length;
    });
    socket.on("error", () => socket.destroy());
  });
  server.on("connection", () => {
    seen.connections++;
  });
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  seen.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  seen.close = () => server.close();
  return seen;
}
