import type { PipelineRequest } from "@azure/core-rest-pipeline";
import type { Setting } from "../provider.ts";
import type { WireRequest } from "../transport.ts";
import type { Endpoint } from "./endpoints.ts";

/** The SDK's requests, as our own client sends them. Nothing of the SDK is evaluated for this. */

/** What a call says of who makes it, in place of the SDK's own words of the machine. */
export function commandHeaders(
  { host, version }: Pick<Setting, "host" | "version">,
  command: string,
  data: boolean,
): Readonly<Record<string, string>> {
  const isId = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(command);
  // The Activity Log shows the client's id and no user agent: there it is the command's. Key Vault's shows both.
  const id = data || !isId ? freshId(host.random.bytes(16)) : command;
  return { "user-agent": `reeve/${version} cmd/${command}`, "x-ms-client-request-id": id };
}

/** RFC 9562 section 5.4. */
function freshId(bytes: Uint8Array): string {
  const set = Uint8Array.from(bytes);
  set[6] = ((set[6] ?? 0) & 0x0f) | 0x40;
  set[8] = ((set[8] ?? 0) & 0x3f) | 0x80;
  const hex = Buffer.from(set).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** Nothing that is packed comes back; the connection's own fields are ours. */
const LEFT_OUT = new Set(["accept-encoding", "connection", "content-length", "host"]);

export function wireOf(
  request: PipelineRequest,
  { url: to }: Endpoint,
  own: Readonly<Record<string, string>>,
): WireRequest {
  const url = new URL(request.url);
  const { body } = request;
  if (body !== undefined && body !== null && typeof body !== "string")
    throw new Error("the SDK made a body that is not text");
  const kept = Object.entries(request.headers.toJSON()).filter(([name]) => !LEFT_OUT.has(name.toLowerCase()));
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : null;
  return {
    protocol: to.protocol === "http:" ? "http:" : "https:",
    hostname: to.hostname,
    port: to.port === "" ? null : Number(to.port),
    method: request.method,
    path: `${url.pathname}${url.search}`,
    headers: { ...Object.fromEntries(kept.map(([name, value]) => [name.toLowerCase(), value])), ...own },
    body: bytes,
  };
}

/** Undefined for nothing, and for what is no JSON. */
export function jsonOf(body: Uint8Array | null): unknown {
  if (body === null) return undefined;
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}
