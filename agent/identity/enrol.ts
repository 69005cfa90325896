import { createHash } from "node:crypto";
import { isRefusal } from "../../policy/refusal.ts";
import type { Config } from "../config.ts";
import type { Host } from "../host/host.ts";
import type { Line, Network } from "../host/network.ts";
import { MAX_ANSWER_BYTES, REQUEST_TIMEOUT_SECONDS } from "../limits.ts";
import { reachHint } from "../reach.ts";
import { spiffeId } from "../wire/names.ts";
import { EnrolAnswer, type TokenClaims } from "../wire/protocol.ts";
import { readToken } from "../wire/token.ts";
import { certificatePem, checkChain } from "../wire/x509.ts";
import { type EnrolmentFault, enrolmentFault, isEnrolmentFault, refusedEnrolment } from "./fault.ts";
import { newAsking, newLogKeyPem, spkiOf } from "./keys.ts";
import { readAnswer } from "./session.ts";
import type { Pending, Store, Stored } from "./store.ts";
import { walkTrust } from "./trust.ts";

const WAIT = { timeoutSeconds: REQUEST_TIMEOUT_SECONDS };

/**
 * Turns a join token into a durable identity (DESIGN section 4): pin the root on a connection that sends nothing, make the key
 * durable, send token and request on a second connection that trusts that root alone, check what comes back, store it.
 * Called again after a stop anywhere in between it sends the same token and key.
 */
export async function enrol(
  host: Host,
  net: Network,
  config: Config,
  store: Store,
  tokenText: string,
): Promise<Stored | EnrolmentFault> {
  const claims = readToken(tokenText, {
    cluster: config.cluster,
    url: config.control_plane.enrol,
    now: Math.floor(host.clock.now() / 1000),
  });
  if ("fault" in claims) {
    const code = claims.expired ? "token-expired" : "token-form";
    return enrolmentFault(code, `Cannot enrol: ${claims.fault}.`, claims.hint);
  }
  const root = await pinnedRoot(net, config, claims);
  if (!(root instanceof Uint8Array)) return root;
  const pending = await durableKey(host, store, tokenText, claims);
  if (isEnrolmentFault(pending)) return pending;
  const answer = await sendToken(net, claims, root, tokenText, pending);
  if (isEnrolmentFault(answer)) return answer;
  const stored = await checkAnswer(host, config, claims, root, pending, answer);
  if (isEnrolmentFault(stored)) return stored;
  // Stopped before the second line, the next start enrols again with the same key and is answered the same.
  store.saveRoot(certificatePem(root));
  store.save(stored);
  return stored;
}

export function digestOf(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The root that the server shows, if it is the one that token and config name. */
async function pinnedRoot(net: Network, config: Config, claims: TokenClaims): Promise<Uint8Array | EnrolmentFault> {
  const wanted = config.control_plane.root_sha256;
  if (wanted !== undefined && wanted !== claims.sha) {
    return enrolmentFault(
      "pin",
      `Cannot enrol: the join token names the root ${claims.sha}, the config ${wanted}.`,
      "Ask the vendor which is theirs. Nothing was sent.",
    );
  }
  const shown = await net.shownChain(claims.url, WAIT);
  if ("unreachable" in shown) return unreachable(claims.url, shown.unreachable);
  const root = shown.chain.at(-1);
  const digest = root === undefined ? "none" : digestOf(root);
  if (root !== undefined && digest === claims.sha) return root;
  return enrolmentFault(
    "pin",
    `Cannot enrol: the server at ${claims.url} shows the root ${digest}, the join token names ${claims.sha}.`,
    "Someone may stand in between. Ask the vendor for their root's SHA-256. Nothing was sent.",
  );
}

/** The key that this token enrols, durable before the token leaves. */
async function durableKey(
  host: Host,
  store: Store,
  tokenText: string,
  claims: TokenClaims,
): Promise<Pending | EnrolmentFault> {
  const digest = digestOf(tokenText);
  const before = store.loadPending();
  if (before !== null && (isEnrolmentFault(before) || before.token_sha256 === digest)) return before;
  const asking = await newAsking(spiffeId(claims.iss, claims.sub));
  const pending: Pending = { v: 1, token_sha256: digest, began_at_ms: host.clock.now(), asking };
  // Stopped after this line, the token was never sent, or it was sent with this key.
  store.savePending(pending);
  return pending;
}

async function sendToken(
  net: Network,
  claims: TokenClaims,
  root: Uint8Array,
  tokenText: string,
  pending: Pending,
): Promise<EnrolAnswer | EnrolmentFault> {
  const line: Line | { unreachable: string } = await net.connect(
    { url: claims.url, roots: [certificatePem(root)], client: null },
    WAIT,
  );
  if ("unreachable" in line) return unreachable(claims.url, line.unreachable);
  const body = JSON.stringify({ token: tokenText, proof: null, nonce: null, csr: pending.asking.csr });
  const answer = await line.ask({ method: "POST", path: "/v1/enroll", body, maxAnswerBytes: MAX_ANSWER_BYTES }, WAIT);
  line.close();
  if ("unreachable" in answer) return unreachable(claims.url, answer.unreachable);
  const read = readAnswer(answer, EnrolAnswer);
  if ("ok" in read) return read.ok;
  return "fault" in read ? refusedEnrolment(read.fault, read.message) : unreachable(claims.url, read.unreachable);
}

/** No connection, or none to whom the pin names. */
export function unreachable(url: string, reason: string): EnrolmentFault {
  if (reason.startsWith("tls: ")) {
    return enrolmentFault(
      "server",
      `Cannot trust the server at ${url}: ${reason.slice("tls: ".length)}.`,
      "Its certificate must be of the pinned root, for this name, and valid now. Nothing was sent to it.",
    );
  }
  if (reason.startsWith("answer: ")) {
    return enrolmentFault(
      "answer",
      `Cannot use what ${url} answered: ${reason.slice("answer: ".length)}.`,
      "It is not a control plane that speaks this protocol. Show this line to the vendor.",
    );
  }
  return enrolmentFault(
    "unreachable",
    `Cannot reach ${url}: ${reason}.`,
    reachHint(reason, url.replace(/^https:\/\//, "")),
  );
}

async function checkAnswer(
  host: Host,
  config: Config,
  claims: TokenClaims,
  root: Uint8Array,
  pending: Pending,
  answer: EnrolAnswer,
): Promise<Stored | EnrolmentFault> {
  const agentId = spiffeId(claims.iss, claims.sub);
  const bad =
    chainFault(answer.chain, [root], agentId, pending.asking.key, host.clock.now()) ??
    (/^https:\/\/[a-zA-Z0-9.[\]:-]+:\d{1,5}$/.test(answer.agents_url) ? null : "agents_url is not https://HOST:PORT");
  if (bad !== null) return badAnswer(bad);
  const place = { cluster: claims.sub, trustDomain: claims.iss, pin: config.control_plane.trust_sha256 };
  const trust = await walkTrust(answer.trust, place);
  if (isRefusal(trust)) return enrolmentFault("trust", `Cannot enrol: ${trust.because}.`, trust.hint);
  const rootText = Buffer.from(root).toString("base64");
  if (trust.newest !== null && !trust.newest.roots.includes(rootText)) {
    return enrolmentFault(
      "trust",
      "Cannot enrol: the newest trust statement does not name the root that the join token pins.",
      "Ask the vendor for a join token made with a current root.",
    );
  }
  return {
    v: 1,
    cluster: claims.sub,
    trust_domain: claims.iss,
    epoch: answer.epoch,
    // The earliest that it can be: an answer may have been lost, and commands of this epoch made since.
    enrolled_at_ms: pending.began_at_ms,
    enrol_url: claims.url,
    agents_url: answer.agents_url,
    trust_sha256: config.control_plane.trust_sha256,
    root_sha256: claims.sha,
    root: rootText,
    token_sha256: pending.token_sha256,
    log_key: newLogKeyPem(),
    next_log_key: null,
    trust: [...answer.trust],
    current: { key: pending.asking.key, chain: [...answer.chain] },
    next: null,
    asking: null,
  };
}

export function badAnswer(what: string): EnrolmentFault {
  return enrolmentFault(
    "answer",
    `Cannot use the control plane's answer: ${what}.`,
    "Compare this machine's clock with the vendor's; if they agree, show this line to the vendor.",
  );
}

/** What is wrong with an issued chain, or null: it must lead to a trusted root, for our key and our name alone. */
export function chainFault(
  chain: readonly string[],
  roots: readonly Uint8Array[],
  agentId: string,
  key: string,
  atMs: number,
): string | null {
  const checked = checkChain(
    chain.map((der) => new Uint8Array(Buffer.from(der, "base64"))),
    roots,
    atMs,
  );
  if ("bad" in checked) return checked.bad;
  if (checked.leaf.uri !== agentId) return "the certificate is for another name";
  return Buffer.compare(checked.leaf.spki, spkiOf(key)) === 0 ? null : "the certificate is for another key";
}
