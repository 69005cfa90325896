import { timeText } from "../audit/time.ts";
import type { Config } from "../config.ts";
import { reachHint } from "../reach.ts";
import type { CertificateFact, EndpointFact, LookupFact, NetworkFact } from "./facts.ts";
import { fail, type Line, ok, warn } from "./line.ts";

const WHAT = { enrolment: "the enrolment listener", agents: "the agents' listener" } as const;

export function dnsLines({ endpoints, proxy }: NetworkFact): Line[] {
  const lines: Line[] = [];
  const seen = new Set<string>();
  const look = (lookup: LookupFact, what: string): void => {
    if (lookup === null || seen.has(lookup.name)) return;
    seen.add(lookup.name);
    const { name, result } = lookup;
    if ("code" in result) lines.push(fail("dns", name, `${what}: no address (${result.code})`, reachHint("dns", name)));
    else lines.push(ok("dns", name, `${what}: ${result.join(", ")}`));
  };
  if (proxy !== null) look(proxy.lookup, "the proxy");
  for (const { lookup, what } of endpoints) look(lookup, WHAT[what]);
  if (lines.length > 0) return lines;
  const by = endpoints.some(({ via }) => via === "proxy")
    ? "the proxy looks the endpoints up"
    : "the endpoints are addresses";
  return [ok("dns", "names", `nothing is looked up here: ${by}`)];
}

/** What chain each server shows, and whether it leads to a pinned root. */
export function pinLines({ endpoints, pins }: NetworkFact): Line[] {
  return endpoints.map((endpoint) => pinLine(endpoint, pins));
}

function pinLine(endpoint: EndpointFact, pins: NetworkFact["pins"]): Line {
  const { place, shown, verified } = endpoint;
  if ("unreachable" in shown)
    return warn(
      "tls-pin",
      place,
      `no certificate was shown (${shown.unreachable})`,
      "See the line `endpoint` of this place.",
    );
  const [leaf] = shown.chain;
  const root = shown.chain.at(-1);
  if (leaf === undefined || root === undefined)
    return fail("tls-pin", place, "a certificate was shown that cannot be read", "Show this line to the vendor.");
  const pin = pins.find(({ sha256 }) => sha256 === root.sha256);
  if (pins.length === 0)
    return warn(
      "tls-pin",
      place,
      `it shows the root ${nameOf(root)}, SHA-256 ${root.sha256}, and nothing here says which it must be`,
      "The identity or the join token says it (line `enrolment`); or put the root's SHA-256, from the vendor, into control_plane.root_sha256.",
    );
  if (pin === undefined) return fail("tls-pin", place, intercepted(place, leaf, root), exempt(place));
  const reason = verified?.unreachable ?? null;
  if (reason === null)
    return ok("tls-pin", place, `it shows the root that ${pin.by} pins, SHA-256 ${root.sha256.slice(0, 16)}…`);
  if (!reason.startsWith("tls: "))
    return warn(
      "tls-pin",
      place,
      `it shows the pinned root, and then no connection was made (${reason})`,
      reachHint(reason, place),
    );
  return fail(
    "tls-pin",
    place,
    besideRoot(place, leaf, reason),
    `The pin protects you: nothing was sent. ${besideHint(reason, place)}`,
  );
}

function intercepted(place: string, leaf: CertificateFact, root: CertificateFact): string {
  return `TLS to ${place} is intercepted: the certificate is by ${leaf.issuer} (root SHA-256 ${root.sha256}), which is not the pinned root`;
}

function exempt(place: string): string {
  return `The pin protects you: nothing was sent. Exempt ${place} from TLS inspection. If nobody here inspects TLS, ask the vendor, by another way, whether its root has changed.`;
}

function besideRoot(place: string, leaf: CertificateFact, reason: string): string {
  const why = reason.slice("tls: ".length);
  return `${place} shows the pinned root, but its own certificate, by ${leaf.issuer}, does not hold (${why})`;
}

function besideHint(reason: string, place: string): string {
  if (reason.includes("EXPIRED") || reason.includes("NOT_YET_VALID"))
    return "Compare this machine's clock; if it is right, the vendor must renew the certificate.";
  if (reason === "tls: name") return `The certificate is for another name: compare ${place} with the vendor's address.`;
  if (reason === "tls: no HTTP/2") return "Something between takes HTTP/2 away.";
  return "Somebody stands in between with a certificate of his own: find out who.";
}

function nameOf(certificate: CertificateFact): string {
  return certificate.subject === "" ? "(no name)" : certificate.subject;
}

export function proxyLines(network: NetworkFact, config: Config, forbidden: readonly string[]): Line[] {
  const { proxy, endpoints, direct } = network;
  const unused = direct.filter((name) => !endpoints.some(({ place }) => place === name));
  const stray = unused.map((name) =>
    warn(
      "proxy",
      name,
      "egress.endpoints names it, and it is no endpoint of this agent",
      `Compare the spelling: ${endpoints.map(({ place }) => place).join(", ")}.`,
    ),
  );
  if (proxy === null) {
    const names = forbidden.filter((name) => /proxy$/i.test(name));
    const more = names.length === 0 ? "" : `; ${names.join(", ")} of the environment is not used`;
    return [ok("proxy", "egress.proxy", `none: every connection goes directly${more}`), ...stray];
  }
  const through = endpoints.filter(({ via }) => via === "proxy");
  const refused = through.map(reasonOf).find((reason) => reason?.startsWith("proxy: "));
  if (proxy.credentials !== null)
    return [
      fail("proxy", proxy.place, proxy.credentials.slice("proxy: ".length), reachHint(proxy.credentials, proxy.place)),
      ...stray,
    ];
  if (refused !== undefined && refused !== null)
    return [
      fail("proxy", proxy.place, wordsOf(refused), reachHint(refused, through[0]?.place ?? proxy.place)),
      ...stray,
    ];
  const used =
    through.length === 0
      ? "no endpoint goes through it"
      : `gives a tunnel to ${through.map(({ place }) => place).join(", ")}`;
  const kind = typeof config.egress.proxy === "object" ? ", with credentials" : "";
  return [ok("proxy", proxy.place, `${used}${kind}`), ...stray];
}

function wordsOf(reason: string): string {
  const what = reason.slice("proxy: ".length);
  if (/^\d\d\d$/.test(what)) return `it answers ${what} to CONNECT`;
  return what === "timeout" ? "it does not answer in time" : `no tunnel (${what})`;
}

/** Why no connection came about; null when one did, or when it did and was not trusted. */
function reasonOf(endpoint: EndpointFact): string | null {
  return "unreachable" in endpoint.shown ? endpoint.shown.unreachable : null;
}

export function endpointLines({ endpoints, pins }: NetworkFact): Line[] {
  return endpoints.map((endpoint) => {
    const { place, what, via, shown, verified } = endpoint;
    const way = `${WHAT[what]}, ${via === "proxy" ? "through the proxy" : "directly"}`;
    const reason = reasonOf(endpoint);
    if (reason !== null) return fail("endpoint", place, `${way}: not reached (${reason})`, reachHint(reason, place));
    const until = "chain" in shown ? shown.chain[0]?.until : undefined;
    const validity = until === undefined ? "" : `; its certificate is valid until ${timeText(until)}`;
    const why = verified === null ? (pins.length === 0 ? null : "not the pinned root") : verified.unreachable;
    if (why === null) return ok("endpoint", place, `${way}: TCP and TLS 1.3 work${validity}`);
    return fail(
      "endpoint",
      place,
      `${way}: reached, and not taken for the control plane (${why})`,
      "See the line `tls-pin` of this place.",
    );
  });
}
