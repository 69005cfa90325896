import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { Complaint } from "../terminal.ts";

/**
 * Who may see the fleet. Exactly one of two says so: a CA of the vendor's own people, or a reverse proxy before this listener that has asked
 * them. There is no third, and none is the default.
 */
export type Access =
  /** `ca`: PEM of the certificates that a person's certificate must come from. */
  | { readonly by: "certificate"; readonly ca: readonly string[] }
  /** `header`: in lower case, the one by which the proxy says whom it has let in. */
  | { readonly by: "proxy"; readonly header: string };
/** `socket`: the path of a unix socket. */
export type PagesPlace = { readonly host: string; readonly port: number } | { readonly socket: string };
export type PagesOptions = { readonly at: PagesPlace; readonly access: Access };
export type PagesFlags = {
  readonly pages?: string | undefined;
  readonly pagesCa?: string | undefined;
  readonly pagesProxy?: string | undefined;
};

const CANNOT = "serve pages";
/** Headers that a browser sends by itself, or that say where a request comes from and not who asks. */
const SAYS_NOBODY =
  /^(?:host|user-agent|accept.*|connection|content-.*|cookie|referer|origin|sec-.*|cache-control|pragma|upgrade.*|via|forwarded|x-forwarded-(?:for|host|port|proto|server)|x-real-ip|te|date|dnt|priority|keep-alive|range|if-.*|transfer-encoding|trailer|expect)$/;

/** Null when no page is wanted. Throws a Complaint (exit 2, 3) for anything that is not one address and one way to know who asks. */
export function readPagesFlags(flags: PagesFlags): PagesOptions | null {
  const { pages, pagesCa, pagesProxy } = flags;
  const none = pagesCa === undefined && pagesProxy === undefined;
  if (pages === undefined) {
    if (none) return null;
    throw usage("there is no --pages", "Write --pages HOST:PORT too.");
  }
  if (none || (pagesCa !== undefined && pagesProxy !== undefined))
    throw usage(
      none ? "nothing says who may see them" : "--pages-ca and --pages-proxy stand there both",
      "Write one of --pages-ca FILE and --pages-proxy HEADER.",
    );
  const at = readPlace(pages);
  if (pagesCa !== undefined) {
    if ("socket" in at) throw usage("a unix socket has no TLS", "Use --pages-proxy HEADER with it.");
    return { at, access: { by: "certificate", ca: readPem(pagesCa) } };
  }
  if (!("socket" in at) && !isLoopback(at.host))
    throw usage(
      `${at.host} is not this machine's loopback, and behind a proxy anybody who reaches it is believed`,
      "Bind 127.0.0.1, [::1] or unix:PATH, and let the proxy run on this machine.",
    );
  return { at, access: { by: "proxy", header: readHeader(pagesProxy ?? "") } };
}

function usage(because: string, hint: string): Complaint {
  return new Complaint(2, CANNOT, because, hint);
}

function readPlace(text: string): PagesPlace {
  const socket = /^unix:(\/.{1,100})$/.exec(text)?.[1];
  if (socket !== undefined) return { socket };
  const match = /^(\[[0-9a-f:]+\]|[a-zA-Z0-9.-]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65535)
    throw usage(`${JSON.stringify(text)} is not HOST:PORT or unix:/PATH`, "Write for example 127.0.0.1:8445.");
  return { host: (match[1] ?? "").replace(/^\[|\]$/g, ""), port };
}

/** As it is given, and as it is printed. */
export function placeText(at: PagesPlace): string {
  if ("socket" in at) return `unix:${at.socket}`;
  return `${isIP(at.host) === 6 ? `[${at.host}]` : at.host}:${at.port}`;
}

/** By its address: a name may lead anywhere. */
export function isLoopback(host: string): boolean {
  return isIP(host) === 4 ? host.startsWith("127.") : host === "::1";
}

function readHeader(name: string): string {
  const header = name.toLowerCase();
  if (!/^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/.test(header))
    throw usage(`${JSON.stringify(name)} is no header's name`, "Write for example X-Forwarded-User.");
  if (SAYS_NOBODY.test(header))
    throw usage(`${name} does not say who asks: others send it too`, "Write the header that only the proxy sets.");
  return header;
}

function readPem(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const code = String((error as { code?: unknown }).code);
    throw new Complaint(3, CANNOT, `${path} cannot be read (${code})`, "Name a PEM file of your people's CA.");
  }
  const pems = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (pems.length === 0)
    throw new Complaint(3, CANNOT, `${path} holds no certificate in PEM`, "Name a PEM file of your people's CA.");
  return pems.map((pem) => `${pem}\n`);
}

/**
 * Holds a CA of people to the roots that agents' certificates come from (PEM): an agent must never be taken for a person. Throws a Complaint for
 * what is no CA, is out of date, or is an agents' root or of one.
 */
export function checkPeopleCa(ca: readonly string[], agentRoots: readonly string[], now: number): void {
  const roots = agentRoots.map((pem) => new X509Certificate(pem));
  for (const pem of ca) {
    const one = readCertificate(pem);
    const name = one.subject.replaceAll("\n", ", ");
    if (!one.ca) throw refusedCa(`${name} is no CA`, "Name the CA that signed them, not a person's certificate.");
    if (Date.parse(one.validFrom) > now || Date.parse(one.validTo) <= now)
      throw refusedCa(`${name} is not valid at this time (until ${one.validTo})`, "Name a CA that is.");
    if (roots.some((root) => isOf(one, root)))
      throw refusedCa(`${name} is an agents' root, or signed by one`, "Agents are not people: use a CA of its own.");
  }
}

function refusedCa(because: string, hint: string): Complaint {
  return new Complaint(3, CANNOT, because, hint);
}

function readCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw refusedCa("a certificate in the file cannot be read", "Name a PEM file of your people's CA.");
  }
}

function isOf(one: X509Certificate, root: X509Certificate): boolean {
  const spki = (of: X509Certificate): Buffer => of.publicKey.export({ type: "spki", format: "der" });
  return spki(one).equals(spki(root)) || one.verify(root.publicKey);
}

/** Why a certificate that TLS has taken is no person's; null when it is one. */
export function notAPerson(der: Uint8Array, now: number): string | null {
  const leaf = new X509Certificate(der);
  if (leaf.ca) return "a CA is nobody's";
  if (/URI:spiffe:/i.test(leaf.subjectAltName ?? "")) return "this is a workload's certificate, not a person's";
  return Date.parse(leaf.validTo) <= now ? "this certificate has expired" : null;
}
