import { FlattenedSign } from "jose";
import type { Acme } from "../../agent/providerConfig/acme.ts";
import { CallFailed, type Errand, type Gate, type Setting } from "../provider.ts";
import { NoAnswer, transport, type WireAnswer, type WireRequest } from "../transport.ts";
import type { AccountKey } from "./accountKey.ts";
import { ACME_CALL_TIMEOUT_MS, MAX_ACME_ANSWER_BYTES, MAX_NONCE_TRIES } from "./limits.ts";
import { linkOf, type Method, placeOf } from "./link.ts";
import { Directory, objectOf } from "./objects.ts";
import { ACME_OPERATIONS, type AcmeOperation } from "./operations.ts";
import { refusalOf } from "./problem.ts";

/** One authority as the config names it. `state`: a folder of its own. `roots`: PEM that its TLS is held to; null: the runtime's. Throws CallFailed. */
/** `uid`: the agent's own user. */
export type AcmeSetting = Pick<Setting, "host" | "version" | "dial"> & { readonly uid: number };
export type AcmeContext = {
  readonly setting: AcmeSetting;
  readonly acme: Acme;
  readonly state: string;
  roots(): readonly string[] | null;
};

/** Who signs: by the key itself where the account is not known yet, else by the account's URL (RFC 8555 section 6.2). */
export type Signer = { readonly key: AccountKey; readonly account: string | null };

/** All calls of one command. Each goes through the gate; each throws CallFailed, Halted and GateBreach. */
export type AcmeCalls = {
  directory(): Promise<Directory>;
  /** One signed request. `payload`: null reads (POST-as-GET). What was refused for its nonce alone is sent again with a fresh one. */
  post(operation: AcmeOperation, url: string, payload: object | null, signer: Signer): Promise<WireAnswer>;
};

const NONCE = /^[A-Za-z0-9_-]{1,512}$/;

/** `resource`: the authority, as the rule names it. */
export function acmeCalls(context: AcmeContext, gate: Gate, errand: Errand, resource: string): AcmeCalls {
  const { setting, acme } = context;
  const limits = { timeoutMs: ACME_CALL_TIMEOUT_MS, maxBytes: MAX_ACME_ANSWER_BYTES };
  const send = transport(setting.dial, limits, context.roots());
  let directory: Directory | null = null;
  let nonce: string | null = null;
  const once = (
    operation: AcmeOperation,
    method: Method,
    text: string,
    body: Uint8Array | null,
  ): Promise<WireAnswer> => {
    const url = linkOf(acme, text);
    return gate.call(operation, resource, async (leave) => {
      // However slow the authority, nothing more is begun with it.
      if (errand.signal.aborted) throw new CallFailed("deadline", "the command's time is over", "none");
      const change = ACME_OPERATIONS.some((row) => row.operation === operation && row.kind === "change");
      const answer = await answered(
        change,
        send(requestOf(context, errand, method, url, body), (moment) => leave(placeOf(url, method), moment)),
      );
      nonce = nonceIn(answer);
      if (answer.status < 200 || answer.status > 299) throw refusalOf(answer, change);
      return { value: answer, request: null };
    });
  };
  const known = async (): Promise<Directory> => {
    directory ??= objectOf(Directory, await once("acme:directory", "GET", acme.directory, null));
    return directory;
  };
  const fresh = async (): Promise<string> => {
    if (nonce === null) await once("acme:newNonce", "HEAD", (await known()).newNonce, null);
    const held = nonce;
    nonce = null;
    if (held === null) throw new CallFailed("malformed", "its answer to newNonce has no nonce", "none");
    return held;
  };
  return {
    directory: known,
    async post(operation, url, payload, signer) {
      for (let attempt = 1; ; attempt++) {
        const body = await signed(url, payload, signer, await fresh());
        try {
          return await once(operation, "POST", url, body);
        } catch (error) {
          // Refused before it was looked at: nothing was done.
          const again = error instanceof CallFailed && error.status === "bad-nonce" && attempt < MAX_NONCE_TRIES;
          if (!again) throw error;
        }
      }
    },
  };
}

async function answered(change: boolean, sent: Promise<WireAnswer>): Promise<WireAnswer> {
  try {
    return await sent;
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    throw new CallFailed(error.status, error.message, change && error.bytesLeft ? "unknown" : "none");
  }
}

function requestOf(
  { setting }: AcmeContext,
  { id }: Errand,
  method: Method,
  url: URL,
  body: Uint8Array | null,
): WireRequest {
  return {
    protocol: "https:",
    hostname: url.hostname,
    port: url.port === "" ? null : Number(url.port),
    method,
    path: `${url.pathname}${url.search}`,
    headers: {
      "user-agent": `reeve/${setting.version} cmd/${id}`,
      ...(body === null ? {} : { "content-type": "application/jose+json" }),
    },
    body,
  };
}

/** For one use each (RFC 8555 section 6.5.1): null where the answer has none that can be used. */
function nonceIn({ headers }: WireAnswer): string | null {
  const nonce = headers["replay-nonce"];
  return nonce !== undefined && NONCE.test(nonce) ? nonce : null;
}

async function signed(
  url: string,
  payload: object | null,
  { key, account }: Signer,
  nonce: string,
): Promise<Uint8Array> {
  const text = payload === null ? "" : JSON.stringify(payload);
  const by = account === null ? { jwk: key.jwk } : { kid: account };
  const jws = await new FlattenedSign(new TextEncoder().encode(text))
    .setProtectedHeader({ alg: "ES256", nonce, url, ...by })
    .sign(key.key);
  return new TextEncoder().encode(JSON.stringify(jws));
}
