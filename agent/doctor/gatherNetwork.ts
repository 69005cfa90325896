import { X509Certificate } from "node:crypto";
import type { Config } from "../config.ts";
import { egressOf } from "../egress.ts";
import type { Clock } from "../host/host.ts";
import type { Line as Connection, Network } from "../host/network.ts";
import { proxyFor } from "../host/proxy.ts";
import { type Place, placeName, placeOf } from "../host/socket.ts";
import type { Survey } from "../host/survey.ts";
import { digestOf } from "../identity/joining.ts";
import { DOCTOR_LOOK_SECONDS } from "../limits.ts";
import { certificatePem } from "../wire/x509.ts";
import type { DoctorDeps } from "./deps.ts";
import type { CertificateFact, EndpointFact, IdentityFact, LookupFact, NetworkFact } from "./facts.ts";
import type { Pins } from "./gatherIdentity.ts";
import { orLate } from "./look.ts";

const WAIT = { timeoutSeconds: DOCTOR_LOOK_SECONDS };
const MAX_ANSWER_BYTES = 16 * 1024;
const ASK_SECONDS = 5;
const IS_ADDRESS = /^[0-9.]+$|:/;

/** Every endpoint side by side. Nothing is sent but TLS itself and, to a server that the pin vouches for, one question for a path that is not there. */
export async function networkFact(
  deps: DoctorDeps,
  config: Config,
  identity: IdentityFact,
  pins: Pins,
  uid: number,
): Promise<NetworkFact> {
  const { host, survey } = deps;
  const egress = egressOf(host.disk, config.egress, uid);
  const net = deps.net(config, uid);
  const urls: [EndpointFact["what"], string][] = [["enrolment", config.control_plane.enrol]];
  if (identity.state === "joined" && pins.agentsUrl !== null) urls.push(["agents", pins.agentsUrl]);
  const endpoints = Promise.all(
    urls.map(async ([what, url]): Promise<EndpointFact> => {
      const place = placeOf(url);
      const via = place !== null && proxyFor(egress, place) !== null ? "proxy" : "direct";
      const [lookup, seen] = await Promise.all([
        via === "proxy" ? null : lookUp(survey, host.clock, place),
        seenAt(net, host.clock, url, what, pins),
      ]);
      return { what, place: place === null ? url : placeName(place), via, lookup, ...seen };
    }),
  );
  const proxy = egress.proxy;
  const credentials = proxy?.credentials?.() ?? null;
  return {
    endpoints: await endpoints,
    pins: pins.roots,
    proxy:
      proxy === null
        ? null
        : {
            place: placeName(proxy.place),
            lookup: await lookUp(survey, host.clock, proxy.place),
            // The pair itself goes no further than this line.
            credentials: credentials !== null && "unreachable" in credentials ? credentials.unreachable : null,
          },
    direct: [...egress.direct],
  };
}

async function lookUp(survey: Survey, clock: Clock, place: Place | null): Promise<LookupFact> {
  if (place === null || IS_ADDRESS.test(place.host)) return null;
  const late = { code: `no answer within ${DOCTOR_LOOK_SECONDS} s` };
  const result = await orLate(survey.addresses(place.host), DOCTOR_LOOK_SECONDS * 1000, clock.sleep, late);
  return { name: place.host, result };
}

type Seen = Pick<EndpointFact, "shown" | "verified" | "skewMs">;

/** What the server shows to somebody who trusts nobody, and whether it holds for somebody who trusts the pinned roots alone. */
async function seenAt(net: Network, clock: Clock, url: string, what: EndpointFact["what"], pins: Pins): Promise<Seen> {
  const shown = await net.shownChain(url, WAIT);
  if ("unreachable" in shown) return { shown, verified: null, skewMs: null };
  const chain = shown.chain.map(certificateFact);
  if (chain.some((certificate) => certificate === null)) return { shown: { chain: [] }, verified: null, skewMs: null };
  const facts = { chain: chain.filter((certificate) => certificate !== null) };
  const root = shown.chain.at(-1);
  const pinned = root !== undefined && pins.roots.some(({ sha256 }) => sha256 === digestOf(root));
  if (root === undefined || !pinned) return { shown: facts, verified: null, skewMs: null };
  const roots = (pins.der.length === 0 ? [root] : pins.der).map(certificatePem);
  // No certificate of our own is shown: its use would count for the control plane.
  const line = await net.connect({ url, roots, client: null }, WAIT);
  if ("unreachable" in line) return { shown: facts, verified: line, skewMs: null };
  const skewMs = what === "enrolment" ? await skewOf(line, clock) : null;
  line.close();
  return { shown: facts, verified: { unreachable: null }, skewMs };
}

/** The Date of a verified answer less this clock; it is cut to whole seconds, so half of one is added. */
async function skewOf(line: Connection, clock: Clock): Promise<number | null> {
  const ask = { method: "GET", path: "/v1/time", body: null, maxAnswerBytes: MAX_ANSWER_BYTES } as const;
  const answer = await line.ask(ask, { timeoutSeconds: ASK_SECONDS });
  return "unreachable" in answer || answer.dateMs === null ? null : answer.dateMs + 500 - clock.now();
}

function certificateFact(der: Uint8Array): CertificateFact | null {
  try {
    const certificate = new X509Certificate(Buffer.from(der));
    const from = certificate.validFromDate.getTime();
    const until = certificate.validToDate.getTime();
    const oneLine = (name: string | undefined): string => (name ?? "").split("\n").join(", ").slice(0, 256);
    return {
      subject: oneLine(certificate.subject),
      issuer: oneLine(certificate.issuer),
      sha256: digestOf(der),
      from,
      until,
    };
  } catch (error) {
    // What an unknown server sent need not be a certificate.
    if (error instanceof Error) return null;
    throw error;
  }
}
