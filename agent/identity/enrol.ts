import type { Provider } from "../../providers/provider.ts";
import type { Config } from "../config.ts";
import type { Host } from "../host/host.ts";
import type { Line, Network } from "../host/network.ts";
import { MAX_ANSWER_BYTES, REQUEST_TIMEOUT_SECONDS } from "../limits.ts";
import { spiffeId } from "../wire/names.ts";
import { type Proof, proofBinding } from "../wire/proof.ts";
import { EnrolAnswer, type EnrolRequest, NonceAnswer } from "../wire/protocol.ts";
import { certificatePem } from "../wire/x509.ts";
import { storedOf } from "./answer.ts";
import { shownTooEarly } from "./clock.ts";
import { type EnrolmentFault, enrolmentFault, isEnrolmentFault, refusedEnrolment, unreachable } from "./fault.ts";
import { digestOf, type Joining } from "./joining.ts";
import { newAsking, spkiOf } from "./keys.ts";
import { readAnswer } from "./session.ts";
import type { Pending, Store, Stored } from "./store.ts";

const WAIT = { timeoutSeconds: REQUEST_TIMEOUT_SECONDS };
const maxAnswerBytes = MAX_ANSWER_BYTES;

export type Enrolling = {
  readonly host: Host;
  readonly net: Network;
  readonly config: Config;
  readonly store: Store;
  /** Null where there is no platform that could say who this machine is. */
  readonly prove: Provider["prove"];
};
type Shown = { readonly proof: Proof; readonly nonce: string };

/**
 * Turns a join token, or what the platform says of this machine, into a durable identity (DESIGN section 4): pin the root on a connection that
 * sends nothing; on a second one, which trusts that root alone, ask for a nonce, make the key durable, have the platform bind all of them, and send. Check
 * what comes back, store it. Called again after a stop anywhere in between it sends the same key, with a nonce and a proof of their own.
 */
export async function enrol(deps: Enrolling, joining: Joining): Promise<Stored | EnrolmentFault> {
  const { host, net, config, store } = deps;
  const url = config.control_plane.enrol;
  const root = await pinnedRoot(host, net, url, joining);
  if (!(root instanceof Uint8Array)) return root;
  const line = await net.connect({ url, roots: [certificatePem(root)], client: null }, WAIT);
  if ("unreachable" in line) return unreachable(url, line.unreachable);
  try {
    const said = deps.prove === null ? null : await freshNonce(line, url);
    if (said !== null && isEnrolmentFault(said)) return said;
    const trustDomain = joining.trustDomain ?? said?.trust_domain;
    if (trustDomain === undefined) throw new Error("neither a token nor a platform to enrol by");
    const pending = await durableKey(deps, joining, spiffeId(trustDomain, config.cluster));
    if (isEnrolmentFault(pending)) return pending;
    const shown = said === null ? null : await showMachine(deps, root, pending, said.nonce);
    if (shown !== null && isEnrolmentFault(shown)) return shown;
    const answer = await send(line, deps, joining, pending, shown);
    if (isEnrolmentFault(answer)) return answer;
    const asked = { config, joining, trustDomain, root, pending, now: host.clock.now() };
    const stored = await storedOf(answer, asked);
    if (isEnrolmentFault(stored)) return stored;
    // Stopped before the second line, the next start enrols again with the same key and is answered the same.
    store.saveRoot(certificatePem(new Uint8Array(Buffer.from(stored.root, "base64"))));
    store.save(stored);
    return stored;
  } finally {
    line.close();
  }
}

/** The root that the server shows, if it is one that token, config or earlier statements name. */
async function pinnedRoot(
  { clock }: Host,
  net: Network,
  url: string,
  { pins }: Joining,
): Promise<Uint8Array | EnrolmentFault> {
  const shown = await net.shownChain(url, WAIT);
  if ("unreachable" in shown) return unreachable(url, shown.unreachable);
  const root = shown.chain.at(-1);
  const digest = root === undefined ? "none" : digestOf(root);
  if (root !== undefined && pins.includes(digest)) return shownTooEarly(clock.now(), shown.chain[0]) ?? root;
  return enrolmentFault(
    "pin",
    `Cannot enrol: the server at ${url} shows the root ${digest}, and the one to expect is ${pins.join(" or ")}.`,
    "Someone may stand in between. Ask the vendor for their root's SHA-256. Nothing was sent.",
  );
}

async function freshNonce(line: Line, url: string): Promise<NonceAnswer | EnrolmentFault> {
  const answer = await line.ask({ method: "GET", path: "/v1/nonce", body: null, maxAnswerBytes }, WAIT);
  if ("unreachable" in answer) return unreachable(url, answer.unreachable);
  const read = readAnswer(answer, NonceAnswer);
  if ("ok" in read) return read.ok;
  return "fault" in read ? refusedEnrolment(read.fault, read.message) : unreachable(url, read.unreachable);
}

/** The key that is enrolled, durable before token or proof leave. After a lost answer it is the same one, whatever comes beside it now. */
async function durableKey(
  { host, store, prove }: Enrolling,
  joining: Joining,
  agentId: string,
): Promise<Pending | EnrolmentFault> {
  const before = store.loadPending();
  if (before !== null) {
    if (isEnrolmentFault(before)) return before;
    const sameToken = before.token_sha256 !== null && before.token_sha256 === joining.tokenSha256;
    if (sameToken || (prove !== null && before.agent_id === agentId)) return before;
  }
  const asking = await newAsking(agentId);
  const pending: Pending = {
    v: 1,
    token_sha256: joining.tokenSha256,
    agent_id: agentId,
    began_at_ms: host.clock.now(),
    asking,
  };
  // Stopped after this line, the key was never sent, or it was sent as this one.
  store.savePending(pending);
  return pending;
}

async function showMachine(
  { config, prove }: Enrolling,
  root: Uint8Array,
  pending: Pending,
  nonce: string,
): Promise<Shown | EnrolmentFault | null> {
  if (prove === null) return null;
  const pin = Buffer.from(digestOf(root), "hex");
  const spki = spkiOf(pending.asking.key);
  const binding = proofBinding({ nonce: Buffer.from(nonce, "base64url"), pin, cluster: config.cluster, spki });
  const proof = await prove(binding);
  if (!("unreachable" in proof)) return { proof, nonce };
  return enrolmentFault(
    "platform",
    `Cannot enrol: this machine's platform does not say who it is (${proof.unreachable}).`,
    "It is asked again. See that the machine has the role or account that the config names, and reaches its metadata service: reeve doctor.",
  );
}

async function send(
  line: Line,
  { config, store }: Enrolling,
  { token }: Joining,
  { asking }: Pending,
  shown: Shown | null,
): Promise<EnrolAnswer | EnrolmentFault> {
  const url = config.control_plane.enrol;
  const body: EnrolRequest = { token, proof: shown?.proof ?? null, nonce: shown?.nonce ?? null, csr: asking.csr };
  const answer = await line.ask(
    { method: "POST", path: "/v1/enroll", body: JSON.stringify(body), maxAnswerBytes },
    WAIT,
  );
  if ("unreachable" in answer) return unreachable(url, answer.unreachable);
  const read = readAnswer(answer, EnrolAnswer);
  if ("ok" in read) return read.ok;
  if ("unreachable" in read) return unreachable(url, read.unreachable);
  // This key has had its certificate, and it is not here: the next try is another machine's, with another key.
  if (read.fault === "key-used") store.removePending();
  return refusedEnrolment(read.fault, read.message);
}
