import { connect } from "node:net";
import type { LocalConfig } from "../../agent/providerConfig/local.ts";

export type GroupConfig = LocalConfig["groups"][string];
type Health = GroupConfig["health"];
/** Where one process of a group is asked whether it is well; null path: that it takes a connection is enough. */
export type Endpoint = { readonly host: string; readonly port: number; readonly path: string | null };

const MAX_STATUS_LINE_BYTES = 256;
const HTTP_DEFAULT_PORT = 80;
const MAX_PORT = 65535;

/** The endpoint of process `n`; null when the config asks for no probe. Throws RangeError when the config's words make none. */
export function endpointOf(health: Health, n: number): Endpoint | null {
  if (health.probe === "none") return null;
  const offset = health.plus_n ? n : 0;
  if (health.probe === "tcp") return checked({ host: health.host, port: health.port + offset, path: null });
  const url = URL.parse(health.url);
  if (url === null || url.protocol !== "http:" || url.username !== "" || url.password !== "")
    throw new RangeError("a probe's url is http://HOST:PORT/PATH");
  const port = url.port === "" ? HTTP_DEFAULT_PORT : Number(url.port);
  return checked({
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port + offset,
    path: url.pathname + url.search,
  });
}

function checked(endpoint: Endpoint): Endpoint {
  if (endpoint.port > MAX_PORT) throw new RangeError("a probe's port is over 65535");
  return endpoint;
}

export function endpointName(endpoint: Endpoint): string {
  return `${endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`;
}

/** Whether it answers within `timeout` milliseconds: a TCP connection, or over it an HTTP/1.1 status of 200 to 299. Follows nothing. */
export function probe(endpoint: Endpoint, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: endpoint.host, port: endpoint.port });
    let line = "";
    const end = (well: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(well);
    };
    const timer = setTimeout(() => end(false), timeout);
    socket.on("error", () => end(false));
    socket.on("close", () => end(false));
    socket.on("connect", () => {
      if (endpoint.path === null) return end(true);
      socket.write(`GET ${endpoint.path} HTTP/1.1\r\nHost: ${endpointName(endpoint)}\r\nConnection: close\r\n\r\n`);
    });
    socket.on("data", (bytes) => {
      line += bytes.toString("latin1");
      const status = /^HTTP\/1\.[01] (\d{3})[ \r]/.exec(line)?.[1];
      if (status !== undefined) end(status.startsWith("2"));
      else if (line.length > MAX_STATUS_LINE_BYTES) end(false);
    });
  });
}
