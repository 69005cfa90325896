import { request } from "node:http";
import type { Clock } from "../../agent/host/host.ts";
import { CallFailed } from "../provider.ts";
import { MAX_METADATA_BYTES, METADATA_ATTEMPTS, METADATA_TIMEOUT_MS, METADATA_TOKEN_SECONDS } from "./limits.ts";

/** The machine's own metadata service, version 2 only: a reading without a token is never tried. */
export type Metadata = {
  /** The text at a path below `/latest/`; null when there is none. Throws CallFailed `metadata-…`. */
  read(path: string): Promise<string | null>;
};

type Answer = { readonly status: number; readonly body: string };
type Ask = { readonly method: "GET" | "PUT"; readonly path: string; readonly headers: Record<string, string> };

const TOKEN = /^[A-Za-z0-9+/=_-]{1,512}$/;

/** `origin`: of the config. The SDK's own reader is not used: it asks variables and shared files where the service is. */
export function metadataService(origin: string, clock: Clock): Metadata {
  const { hostname, port } = new URL(origin);
  const once = (ask: Ask): Promise<Answer> => askOnce(hostname, port === "" ? 80 : Number(port), ask);
  const readOnce = async (path: string): Promise<string | null> => {
    const ttl = { "x-aws-ec2-metadata-token-ttl-seconds": String(METADATA_TOKEN_SECONDS) };
    const token = await once({ method: "PUT", path: "/latest/api/token", headers: ttl });
    if (token.status !== 200) throw failure("metadata-refused", `no token: ${token.status}`);
    if (!TOKEN.test(token.body)) throw failure("metadata-malformed", "what it gave as a token is none");
    const headers = { "x-aws-ec2-metadata-token": token.body };
    const answer = await once({ method: "GET", path: `/latest/${path}`, headers });
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

/** One request on a connection of its own; no redirect is followed. */
function askOnce(host: string, port: number, { method, path, headers }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host, port, method, path, headers, agent: false });
    const fail = (status: string, words: string): void => {
      clearTimeout(timer);
      outgoing.destroy();
      reject(failure(status, words));
    };
    const timer = setTimeout(
      () => fail("metadata-unreachable", `no answer in ${METADATA_TIMEOUT_MS} ms`),
      METADATA_TIMEOUT_MS,
    );
    outgoing.on("error", (error) => fail("metadata-unreachable", error.message));
    outgoing.on("response", (incoming) => {
      let body = "";
      incoming.setEncoding("utf8");
      incoming.on("data", (chunk: string) => {
        body += chunk;
        if (body.length > MAX_METADATA_BYTES) fail("metadata-malformed", `over ${MAX_METADATA_BYTES} bytes`);
      });
      incoming.on("error", (error) => fail("metadata-unreachable", error.message));
      incoming.on("end", () => {
        clearTimeout(timer);
        resolve({ status: incoming.statusCode ?? 0, body });
      });
    });
    outgoing.end();
  });
}
