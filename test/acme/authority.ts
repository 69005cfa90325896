import "reflect-metadata";
import { createServer, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import {
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
} from "@peculiar/x509";
import { authority, certificate, type Made, pem, serverTls, type Wish } from "./tls.ts";

/**
 * An ACME authority of the tests' own, for what Pebble never does: it answers well until a test twists one of its answers. What good clients
 * meet is Pebble; here nobody checks a signature.
 */
export type Step =
  | "directory"
  | "nonce"
  | "account"
  | "newOrder"
  | "order"
  | "authorization"
  | "challenge"
  | "finalize"
  | "certificate";
export type Reply = { status: number; headers: Record<string, string>; body: unknown };
/** Another reply to a step that was taken; `unheard`: the connection ends instead. `count`: from 1, of the same steps. */
export type Twist = (step: Step, reply: Reply, count: number) => Reply | "unheard";

export type Authority = {
  readonly directory: string;
  readonly root: string;
  /** PEM of the root that its chains lead to. */
  readonly issuers: string;
  /** Steps as they came, oldest first. */
  readonly came: readonly Step[];
  twist: Twist;
  /** Requests of this step are lost before it is taken. */
  loses: Step | null;
  /** What it issues is changed by this. */
  leaf: (wish: Wish, csr: Pkcs10CertificateRequest, by: { inter: Made; other: Made }) => Wish | Promise<Wish>;
  /** The chain's PEM, changed. */
  chain: (text: string, made: { readonly leaf: Made; readonly inter: Made; readonly root: Made }) => string;
  readonly issued: number;
  stop(): Promise<void>;
};

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
type OrderState = { names: string[]; status: string; chain: string | null; proven: boolean };

export async function startAuthority(): Promise<Authority> {
  const tls = await serverTls();
  const root = await authority(null, "CN=Issuing root");
  const inter = await authority(root, "CN=Issuing intermediate");
  const other = await authority(null, "CN=Issuing intermediate");
  const came: Step[] = [];
  const orders: OrderState[] = [];
  let [nonces, issued] = [0, 0];
  const counts = new Map<Step, number>();
  const server = createTlsServer({ cert: tls.cert, key: tls.key });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const base = `https://localhost:${address.port}`;
  const orderOf = (order: OrderState, id: number) => ({
    status: order.status,
    identifiers: order.names.map((value) => ({ type: "dns", value })),
    authorizations: order.names.map((_, at) => `${base}/authorization/${id}/${at}`),
    finalize: `${base}/finalize/${id}`,
    ...(order.chain === null ? {} : { certificate: `${base}/certificate/${id}` }),
  });
  async function sign(order: OrderState, csr: string): Promise<void> {
    const request = new Pkcs10CertificateRequest(new Uint8Array(Buffer.from(csr, "base64url")));
    const good: Wish = {
      subject: "",
      publicKey: await request.publicKey.export(),
      extensions: [
        new ExtendedKeyUsageExtension([SERVER_AUTH]),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new SubjectAlternativeNameExtension(order.names.map((value) => ({ type: "dns" as const, value }))),
      ],
    };
    const leaf = await certificate(inter, await self.leaf(good, request, { inter, other }));
    order.chain = self.chain(pem(leaf, inter), { leaf, inter, root });
    order.status = "valid";
    issued += 1;
  }
  const steps: Readonly<
    Record<Step, (payload: Record<string, unknown>, id: number, at: number) => Promise<Reply> | Reply>
  > = {
    directory: () =>
      json(200, { newNonce: `${base}/nonce`, newAccount: `${base}/account`, newOrder: `${base}/newOrder` }),
    nonce: () => json(200, null),
    account: () => json(200, { status: "valid" }, { location: `${base}/account/1` }),
    newOrder(payload) {
      const names = (payload["identifiers"] as { value: string }[]).map(({ value }) => value);
      const order = { names, status: "pending", chain: null, proven: false };
      orders.push(order);
      return json(201, orderOf(order, orders.length - 1), { location: `${base}/order/${orders.length - 1}` });
    },
    order: (_, id) => json(200, orderOf(known(id), id)),
    authorization(_, id, at) {
      const { names, proven } = known(id);
      const status = proven ? "valid" : "pending";
      const challenge = {
        type: "dns-01",
        url: `${base}/challenge/${id}/${at}`,
        status,
        token: `token-of-order-${id}-name-${at}`,
      };
      return json(200, { status, identifier: { type: "dns", value: names[at] }, challenges: [challenge] });
    },
    challenge(_, id, at) {
      const order = known(id);
      if (at === order.names.length - 1) Object.assign(order, { proven: true, status: "ready" });
      return json(200, { type: "dns-01", url: `${base}/challenge/${id}/${at}`, status: "processing" });
    },
    async finalize(payload, id) {
      await sign(known(id), String(payload["csr"]));
      return json(200, orderOf(known(id), id));
    },
    certificate: (_, id) => ({
      status: 200,
      headers: { "content-type": "application/pem-certificate-chain" },
      body: known(id).chain,
    }),
  };
  const known = (id: number): OrderState => {
    const order = orders[id];
    if (order === undefined) throw new Error("no such order");
    return order;
  };
  const self: Authority = {
    directory: `${base}/directory`,
    root: tls.root,
    issuers: pem(root),
    came,
    twist: (_, reply) => reply,
    loses: null,
    leaf: (wish) => wish,
    chain: (text) => text,
    get issued() {
      return issued;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  server.on("request", async (request, response) => {
    const [, word = "", id = "0", at = "0"] = (request.url ?? "").split("/");
    const step = word as Step;
    let text = "";
    for await (const chunk of request) text += String(chunk);
    const payload =
      text === "" ? "" : Buffer.from((JSON.parse(text) as { payload: string }).payload, "base64url").toString();
    came.push(step);
    const count = (counts.get(step) ?? 0) + 1;
    counts.set(step, count);
    if (step === self.loses) return void request.socket.destroy();
    const reply = await steps[step](
      payload === "" ? {} : (JSON.parse(payload) as Record<string, unknown>),
      Number(id),
      Number(at),
    );
    const twisted = self.twist(step, reply, count);
    if (twisted === "unheard") return void request.socket.destroy();
    answer(response, { ...twisted, headers: { "replay-nonce": `nonce-${++nonces}`, ...twisted.headers } });
  });
  return self;
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): Reply {
  return { status, headers: { "content-type": "application/json", ...headers }, body };
}

/** A problem document (RFC 7807). */
export function problem(status: number, type: string, headers: Record<string, string> = {}): Reply {
  const body = { type: `urn:ietf:params:acme:error:${type}`, detail: "as the test wishes" };
  return { status, headers: { "content-type": "application/problem+json", ...headers }, body };
}

function answer(response: ServerResponse, { status, headers, body }: Reply): void {
  const sent = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ""));
  response.writeHead(status, sent);
  response.end(body === null ? "" : typeof body === "string" ? body : JSON.stringify(body));
}

/** A place where nobody should ever come: it counts who does. */
export async function startForeign(): Promise<{
  readonly url: string;
  readonly came: () => number;
  stop(): Promise<void>;
}> {
  let came = 0;
  const server = createServer((_, response) => response.end());
  server.on("connection", () => {
    came += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `https://127.0.0.1:${address.port}/x`,
    came: () => came,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
