/**
 * No whole answer came. `status`: a short stable code. `bytesLeft`: the request, or a part of it, may have reached the other side; false
 * only when not one byte of it was handed to the connection.
 */
export class NoAnswer extends Error {
  constructor(
    readonly status: string,
    readonly bytesLeft: boolean,
    message: string,
  ) {
    super(message);
    this.name = "NoAnswer";
  }
}

const STATUS: Readonly<Record<string, string>> = {
  refused: "connection-refused",
  dns: "dns",
  "no-route": "no-route",
  timeout: "timeout",
  aborted: "timeout",
};

/** A connection that did not come about, or broke. `reason`: Unreachable's short words. */
export function noAnswer(reason: string, bytesLeft: boolean): NoAnswer {
  return new NoAnswer(statusOf(reason), bytesLeft, reason);
}

function statusOf(reason: string): string {
  if (reason.startsWith("proxy: ")) return proxyStatus(reason.slice("proxy: ".length));
  // TLS itself broke, at any time; else the peer's certificate is not accepted.
  if (reason.startsWith("tls: ")) return /^tls: ERR_SSL/.test(reason) ? "tls-broken" : "tls";
  return STATUS[reason] ?? "reset";
}

function proxyStatus(reason: string): string {
  if (reason === "407" || reason.startsWith("credentials")) return "proxy-credentials";
  if (/^[1-4]\d\d$/.test(reason)) return "proxy-denied";
  if (/^\d{3}$/.test(reason)) return "proxy-failed";
  if (["not HTTP", "endless head", "bytes before TLS"].includes(reason)) return "proxy-malformed";
  return "proxy-unreachable";
}
