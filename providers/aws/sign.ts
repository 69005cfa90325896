import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import type { WireRequest } from "../transport.ts";
import type { Credentials } from "./clients.ts";

/** SHA-256 in the form that the signer asks for: with a key it is the HMAC. */
class Sha256 {
  readonly #hash: Hash | Hmac;
  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = key === undefined ? createHash("sha256") : createHmac("sha256", bytesOf(key));
  }
  update(data: Uint8Array): void {
    this.#hash.update(data);
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {
    throw new Error("a digest is taken once");
  }
}

function bytesOf(key: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof key === "string") return new TextEncoder().encode(key);
  return key instanceof ArrayBuffer ? new Uint8Array(key) : new Uint8Array(key.buffer, key.byteOffset, key.byteLength);
}

/** The request with its AWS Signature Version 4 for S3, at `now` (milliseconds). Its path must hold nothing that a URL would escape. */
export async function signedForS3(
  request: WireRequest,
  at: { readonly region: string; readonly credentials: Credentials; readonly now: number },
): Promise<WireRequest> {
  const signer = new SignatureV4({
    service: "s3",
    region: at.region,
    credentials: at.credentials,
    sha256: Sha256,
    // S3 signs the path as it is sent.
    uriEscapePath: false,
    applyChecksum: true,
  });
  const { protocol, hostname, port, method, path, body } = request;
  const host = port === null ? hostname : `${hostname}:${port}`;
  const signed = await signer.sign(
    {
      protocol,
      hostname,
      ...(port === null ? {} : { port }),
      method,
      path,
      query: {},
      headers: { ...request.headers, host },
      body: body ?? "",
    },
    { signingDate: at.now / 1000 },
  );
  const { host: _, ...headers } = signed.headers;
  return { ...request, headers };
}

type StsRequest = {
  readonly method: string;
  readonly hostname: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** All headers of the request with its AWS Signature Version 4 for STS, each of them signed, by their names in lower case. */
export async function signedForSts(
  { headers, ...request }: StsRequest,
  at: { readonly region: string; readonly credentials: Credentials; readonly now: number },
): Promise<Readonly<Record<string, string>>> {
  const signer = new SignatureV4({
    service: "sts",
    region: at.region,
    credentials: at.credentials,
    sha256: Sha256,
    applyChecksum: false,
  });
  const signed = await signer.sign(
    { ...request, protocol: "https:", query: {}, headers: { ...headers, host: request.hostname } },
    { signingDate: at.now / 1000 },
  );
  return signed.headers;
}
