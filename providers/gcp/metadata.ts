import { CallFailed, type Setting } from "../provider.ts";
import { NoAnswer, transport } from "../transport.ts";
import { MAX_METADATA_BYTES, METADATA_ATTEMPTS, METADATA_TIMEOUT_MS } from "./limits.ts";

/** The machine's own metadata server. */
export type Metadata = {
  /** The text at a path below `/computeMetadata/v1/`; null when there is none. Throws CallFailed `metadata-…`. */
  read(path: string): Promise<string | null>;
};

/**
 * `origin`: of the config, plain http and so asked directly whatever proxy there is. Google's own library is not used: it asks variables and
 * shared files where the server is. What does not say `Metadata-Flavor: Google` is something else that answers there.
 */
export function metadataServer(origin: string, { host: { clock }, dial }: Pick<Setting, "host" | "dial">): Metadata {
  const { hostname, port } = new URL(origin);
  const to = { protocol: "http:", hostname, port: port === "" ? null : Number(port), body: null } as const;
  const send = transport(dial, { timeoutMs: METADATA_TIMEOUT_MS, maxBytes: MAX_METADATA_BYTES });
  const once = async (path: string): Promise<string | null> => {
    const headers = { "Metadata-Flavor": "Google" };
    const request = { ...to, method: "GET", path: `/computeMetadata/v1/${path}`, headers };
    const answer = await send(request, () => undefined).catch((error: unknown) => {
      throw unreachable(error);
    });
    if (answer.headers["metadata-flavor"] !== "Google") throw failure("metadata-malformed", "it is another server");
    if (answer.status === 404) return null;
    if (answer.status !== 200) throw failure("metadata-refused", `${path}: ${answer.status}`);
    return new TextDecoder().decode(answer.body);
  };
  return {
    async read(path) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await once(path);
        } catch (error) {
          if (!(error instanceof CallFailed) || attempt === METADATA_ATTEMPTS) throw error;
          await clock.sleep(100 * attempt);
        }
      }
    },
  };
}

function failure(status: string, words: string): CallFailed {
  return new CallFailed(status, `the metadata server: ${words}`, "none");
}

/** No status, no words: what the metadata server cannot be asked, whatever the reason. */
function unreachable(error: unknown): unknown {
  if (!(error instanceof NoAnswer)) return error;
  const unclear = error.status === "malformed" || error.status === "answer-too-long";
  return failure(unclear ? "metadata-malformed" : "metadata-unreachable", error.message);
}
