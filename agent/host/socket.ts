import { isIP } from "node:net";

/** Why there is no answer, short: "refused", "timeout", "dns", "reset", "no-route", "aborted", "closed", "address", "network: CODE", "tls: CODE", "proxy: WHAT", "answer: WHAT". */
export type Unreachable = { readonly unreachable: string };
export type Wait = { readonly timeoutSeconds: number; readonly signal?: AbortSignal | undefined };
export type Place = { readonly host: string; readonly port: number };

const CODES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refused",
  ENOTFOUND: "dns",
  EAI_AGAIN: "dns",
  ETIMEDOUT: "timeout",
  ECONNRESET: "reset",
  EPIPE: "reset",
  EHOSTUNREACH: "no-route",
  ENETUNREACH: "no-route",
};

/** What went wrong on a socket, as one of Unreachable's short words. */
export function reasonOf(error: unknown): string {
  const code = String((error as { code?: unknown } | null)?.code ?? "unknown").replace(/[^A-Z0-9_]/gi, "");
  if (code.includes("HTTP2")) return "reset";
  // errno names have no underscore; what TLS finds wrong has one.
  return CODES[code] ?? `${/^E[A-Z0-9]+$|^unknown$/.test(code) ? "network" : "tls"}: ${code}`;
}

/** Host and port of `https://HOST:PORT`; null for what names none. An address may be another's word: it never throws. */
export function placeOf(url: string): Place | null {
  const parsed = URL.parse(url);
  if (parsed === null || parsed.protocol !== "https:" || parsed.hostname === "") return null;
  const port = Number(parsed.port || 443);
  return port === 0 ? null : { host: parsed.hostname.replace(/^\[|\]$/g, ""), port };
}

/** An IPv6 address as another machine may be named by: one with a zone (%eth0) is of this machine's own links. */
export function isAddress6(host: string): boolean {
  return isIP(host) === 6 && !host.includes("%");
}

/** `HOST:PORT`, an IPv6 address in brackets. */
export function placeName({ host, port }: Place): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * Settles once: by `end`, when the wait's time has passed, or when it is aborted. `begin` starts it, and returns how to give it up when
 * nothing came of it.
 */
export function withinWait<T extends object>(
  wait: Wait,
  begin: (end: (result: T | Unreachable) => void) => () => void,
): Promise<T | Unreachable> {
  return new Promise((resolve) => {
    if (wait.signal?.aborted === true) return resolve({ unreachable: "aborted" });
    let ended = false;
    let giveUp = (): void => undefined;
    const end = (result: T | Unreachable): void => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      wait.signal?.removeEventListener("abort", onAbort);
      if ("unreachable" in result) giveUp();
      resolve(result);
    };
    const onAbort = () => end({ unreachable: "aborted" });
    const timer = setTimeout(() => end({ unreachable: "timeout" }), wait.timeoutSeconds * 1000);
    wait.signal?.addEventListener("abort", onAbort, { once: true });
    giveUp = begin(end);
  });
}
