import { CallFailed, type Setting } from "../provider.ts";
import { NoAnswer, transport } from "../transport.ts";
import { MAX_METADATA_BYTES, METADATA_ATTEMPTS, METADATA_TIMEOUT_MS, METADATA_TOKEN_SECONDS } from "./limits.ts";

/** The machine's own metadata service, version 2 only: a reading without a token is never tried. */
export type Metadata = {
  /** The text at a path below `/latest/`; null when there is none. Throws CallFailed `metadata-…`. */
  read(path: string): Promise<string | null>;
};

type Answer = { readonly status: number; readonly body: string };

const TOKEN = /^[A-Za-z0-9+/=_-]{1,512}$/;

/**
 * `origin`: of the config, plain http and so asked directly whatever proxy there is. The SDK's own reader is not used: it asks variables
 * and shared files where the service is.
 */
export function metadataService(origin: string, { host: { clock }, dial }: Pick<Setting, "host" | "dial">): Metadata {
  const { hostname, port } = new URL(origin);
  const to = { protocol: "http:", hostname, port: port === "" ? null : Number(port), body: null } as const;
  const send = transport(dial, { timeoutMs: METADATA_TIMEOUT_MS, maxBytes: MAX_METADATA_BYTES });
  const once = async (method: "GET" | "PUT", path: string, headers: Record<string, string>): Promise<Answer> => {
    try {
      const { status, body } = await send({ ...to, method, path, headers }, () => undefined);
      return { status, body: new TextDecoder().decode(body) };
    } catch (error) {
      throw unreachable(error);
    }
  };
  const readOnce = async (path: string): Promise<string | null> => {
    const ttl = { "x-aws-ec2-metadata-token-ttl-seconds": String(METADATA_TOKEN_SECONDS) };
    const token = await once("PUT", "/latest/api/token", ttl);
    if (token.status !== 200) throw failure("metadata-refused", `no token: ${token.status}`);
    if (!TOKEN.test(token.body)) throw failure("metadata-malformed", "what it gave as a token is none");
    const headers = { "x-aws-ec2-metadata-token": token.body };
    const answer = await once("GET", `/latest/${path}`, headers);
    if (answer.status === 404) return null;
    if (answer.status !== 200) throw failure("metadata-refused", `${path}: ${answer.status}`);
    return answer.body;
  };
  return {
    async read(path) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await readOnce(path);
        } catch (error) {
          if (!(error instanceof CallFailed) || attempt === METADATA_ATTEMPTS) throw error;
          await clock.sleep(100 * attempt);
        }
      }
    },
  };
}

function failure(status: string, words: string): CallFailed {
  return new CallFailed(status, `the metadata service: ${words}`, "none");
}

/** No status, no words: what the metadata service cannot be asked, whatever the reason. */
function unreachable(error: unknown): unknown {
  if (!(error instanceof NoAnswer)) return error;
  const unclear = error.status === "malformed" || error.status === "answer-too-long";
  return failure(unclear ? "metadata-malformed" : "metadata-unreachable", error.message);
}
