import { X509Certificate } from "node:crypto";
import { timeText } from "../audit/time.ts";
import type { Config } from "../config.ts";
import type { Network } from "../host/network.ts";
import { CLOCK_SKEW_SECONDS, MAX_ANSWER_BYTES, REQUEST_TIMEOUT_SECONDS } from "../limits.ts";
import type { TokenClaims } from "../wire/protocol.ts";
import { readToken, readTokenForm } from "../wire/token.ts";
import { certificatePem } from "../wire/x509.ts";
import { type EnrolmentFault, enrolmentFault, unreachable } from "./fault.ts";
import { digestOf } from "./joining.ts";

/**
 * A machine that has just started may not have its time yet. What shows it is waited for, and nothing is sent meanwhile, so that no token is
 * used up by a clock: nothing received sets the time (DESIGN section 3), the machine's own time service does.
 */
const WAIT = { timeoutSeconds: REQUEST_TIMEOUT_SECONDS };
const SKEW_MS = CLOCK_SKEW_SECONDS * 1000;

function clockFault(now: number, against: string): EnrolmentFault {
  return enrolmentFault(
    "clock",
    `Cannot join yet: this machine's clock says ${timeText(now)}, and ${against}.`,
    "It goes on by itself once the clock is right, and has sent nothing that is used up. See `timedatectl`, or `chronyc tracking`. If the clock is right, show this line to the vendor.",
  );
}

/** What is held against this machine's clock began later than it says. `what`: whose beginning. */
export function clockBehind(now: number, beginsMs: number, what: string): EnrolmentFault | null {
  return beginsMs > now + SKEW_MS ? clockFault(now, `${what} ${timeText(beginsMs)}: the clock is behind`) : null;
}

/** Of the certificate that a server of the pinned root shows. */
export function shownTooEarly(now: number, leaf: Uint8Array | undefined): EnrolmentFault | null {
  if (leaf === undefined) return null;
  try {
    const begins = new X509Certificate(Buffer.from(leaf)).validFromDate.getTime();
    return clockBehind(now, begins, "the control plane's certificate is valid only from");
  } catch {
    // What it shows is judged where it is trusted.
    return null;
  }
}

/**
 * Null when the token says nothing against the clock. One that looks expired may be good: the control plane's own word for the time (the Date
 * header, RFC 9110 section 6.6.1) is asked for on a connection that is pinned and sends no token. It is a hint to wait by, no more.
 */
export async function tokenAgainstClock(
  net: Network,
  config: Config,
  text: string,
  now: number,
): Promise<EnrolmentFault | null> {
  const url = config.control_plane.enrol;
  const read = readToken(text, { cluster: config.cluster, url, now: Math.floor(now / 1000) });
  if (!("fault" in read) || !(read.expired || read.early)) return null;
  const claims = readTokenForm(text);
  if ("fault" in claims) return null;
  if (read.early) return clockBehind(now, claims.iat * 1000, "the join token was made at");
  const server = await serversTime(net, url, claims);
  if (server === null || typeof server !== "number") return server;
  if (claims.exp * 1000 <= server || now - server <= SKEW_MS) return null;
  const until = timeText(claims.exp * 1000);
  return clockFault(
    now,
    `the control plane's ${timeText(server)}: by its clock the join token is good until ${until}, by this one it has expired`,
  );
}

/** In milliseconds; null when it does not say. */
async function serversTime(net: Network, url: string, { sha }: TokenClaims): Promise<number | EnrolmentFault | null> {
  const shown = await net.shownChain(url, WAIT);
  if ("unreachable" in shown) return unreachable(url, shown.unreachable);
  const root = shown.chain.at(-1);
  if (root === undefined || digestOf(root) !== sha) return null;
  const line = await net.connect({ url, roots: [certificatePem(root)], client: null }, WAIT);
  // A certificate that looks expired too: the token has, and says so.
  if ("unreachable" in line) return line.unreachable.startsWith("tls: ") ? null : unreachable(url, line.unreachable);
  const maxAnswerBytes = MAX_ANSWER_BYTES;
  const answer = await line.ask({ method: "GET", path: "/v1/nonce", body: null, maxAnswerBytes }, WAIT);
  line.close();
  return "unreachable" in answer ? null : answer.dateMs;
}
