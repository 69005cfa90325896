import { request } from "node:https";
import { decodeUtf8 } from "../../agent/wire/jws.ts";

/**
 * Where a platform is asked. `host`: the name that it is asked by, and that its certificate must hold; `at`: HOST or HOST:PORT to connect to;
 * `ca`: PEM, what the certificate must lead to; null: what the system trusts.
 */
export type AskedPlace = { readonly host: string; readonly at: string; readonly ca: string | null };
export type Asked = {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** Beside `host`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};
export type Answered = { readonly status: number; readonly type: string; readonly body: string };

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * One request on a connection of its own, to a server that holds a certificate for `host`. No redirect is followed, nothing is
 * sent twice, and an answer that is late, too long or not UTF-8 is none. `unreachable`: why, in our own words.
 */
export function ask(place: AskedPlace, asked: Asked): Promise<Answered | { readonly unreachable: string }> {
  const { hostname, port } = new URL(`https://${place.at}`);
  return new Promise((resolve) => {
    const end = (result: Answered | { readonly unreachable: string }): void => {
      clearTimeout(late);
      asking.destroy();
      resolve(result);
    };
    const asking = request({
      hostname: hostname.replace(/^\[|\]$/g, ""),
      port: port === "" ? 443 : Number(port),
      method: asked.method,
      path: asked.path,
      agent: false,
      // Explicit: a variable (NODE_TLS_REJECT_UNAUTHORIZED) must not decide it.
      rejectUnauthorized: true,
      // Both the header and this, for a runtime may take the name to check from either.
      servername: place.host,
      ...(place.ca === null ? {} : { ca: place.ca }),
      headers: {
        ...asked.headers,
        host: place.host,
        "accept-encoding": "identity",
        "content-length": String(Buffer.byteLength(asked.body)),
      },
    });
    const late = setTimeout(() => end({ unreachable: "it did not answer in time" }), TIMEOUT_MS);
    asking.on("error", () => end({ unreachable: "no connection that can be trusted" }));
    asking.on("response", (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      response.on("error", () => end({ unreachable: "its answer broke off" }));
      response.on("data", (part: Buffer) => {
        size += part.length;
        if (size > MAX_ANSWER_BYTES) end({ unreachable: `its answer is over ${MAX_ANSWER_BYTES} bytes` });
        else parts.push(part);
      });
      response.on("end", () => {
        const body = decodeUtf8(Buffer.concat(parts));
        const type = response.headers["content-type"] ?? "";
        end(
          body === null ? { unreachable: "its answer is no text" } : { status: response.statusCode ?? 0, type, body },
        );
      });
    });
    asking.end(asked.body);
  });
}
