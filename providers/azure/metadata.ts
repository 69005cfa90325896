import { CallFailed, type Setting } from "../provider.ts";
import { NoAnswer, transport } from "../transport.ts";
import { MAX_METADATA_BYTES, METADATA_ATTEMPTS, METADATA_TIMEOUT_MS } from "./limits.ts";

/** The machine's own metadata service. @azure/identity is not used: variables say to it where to ask. */
export type Metadata = {
  /** The JSON at a path below /metadata/, with its query. Throws CallFailed `metadata-…`; `metadata-refused` for what it will not answer. */
  read(path: string, query: Readonly<Record<string, string>>): Promise<unknown>;
};

/** Answers that pass: learn.microsoft.com, managed identities on a VM, "Retry guidance". */
const PASSES = new Set([404, 410, 429, 500, 502, 503, 504]);

/** `origin`: of the config, plain http and so asked directly whatever proxy there is. */
export function metadataService(origin: string, { host: { clock }, dial }: Pick<Setting, "host" | "dial">): Metadata {
  const { hostname, port } = new URL(origin);
  const to = {
    protocol: "http:",
    hostname,
    port: port === "" ? null : Number(port),
    method: "GET",
    body: null,
  } as const;
  const send = transport(dial, { timeoutMs: METADATA_TIMEOUT_MS, maxBytes: MAX_METADATA_BYTES });
  const once = async (path: string): Promise<{ readonly status: number; readonly body: Uint8Array }> => {
    try {
      return await send({ ...to, path, headers: { metadata: "true" } }, () => undefined);
    } catch (error) {
      if (error instanceof NoAnswer) throw failure("metadata-unreachable", error.message);
      throw error;
    }
  };
  const readOnce = async (path: string): Promise<unknown> => {
    const { status, body } = await once(path);
    if (status !== 200) throw failure(PASSES.has(status) ? "metadata-unreachable" : "metadata-refused", String(status));
    try {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof TypeError) throw failure("metadata-malformed", "no JSON");
      throw error;
    }
  };
  return {
    async read(path, query) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await readOnce(`/metadata/${path}?${new URLSearchParams(query)}`);
        } catch (error) {
          const passes = error instanceof CallFailed && error.status === "metadata-unreachable";
          if (!passes || attempt === METADATA_ATTEMPTS) throw error;
          await clock.sleep(200 * attempt);
        }
      }
    },
  };
}

function failure(status: string, words: string): CallFailed {
  return new CallFailed(status, `the metadata service: ${words}`, "none");
}
