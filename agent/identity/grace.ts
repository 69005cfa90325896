import type { Network } from "../host/network.ts";
import { CERTIFICATE_GRACE_SECONDS, MAX_ANSWER_BYTES, REQUEST_TIMEOUT_SECONDS } from "../limits.ts";
import { spiffeId } from "../wire/names.ts";
import { NonceAnswer, RenewAnswer } from "../wire/protocol.ts";
import { type EnrolmentFault, enrolmentFault, refusedEnrolment, unreachable } from "./fault.ts";
import { newAsking, signWith } from "./keys.ts";
import { type Posted, readAnswer } from "./session.ts";
import type { Slot, Stored } from "./store.ts";

/** Who asks with an expired certificate. `rootPems`: of the roots in force. */
export type Expired = { readonly net: Network; readonly stored: Stored; readonly rootPems: readonly string[] };
export type Answered = { readonly posted: Posted<{ chain: string[] }>; readonly signer: Slot };

/**
 * Only the slot that the control plane holds for current is heard. That is `next` if a first use arrived, and `current` if none did:
 * an agent that stopped right after it stored `next` cannot know, so it asks with both, the newer first.
 */
export async function askByExpired(expired: Expired, csr: string, signal: AbortSignal | undefined): Promise<Answered> {
  const { next, current } = expired.stored;
  const newest = next ?? current;
  const first: Answered = { posted: await overEnrolment(expired, csr, newest, signal), signer: newest };
  const unknownThere = "fault" in first.posted && first.posted.fault === "certificate";
  if (next === null || !unknownThere) return first;
  return { posted: await overEnrolment(expired, csr, current, signal), signer: current };
}

async function overEnrolment(
  { net, stored, rootPems }: Expired,
  csr: string,
  slot: Slot,
  signal: AbortSignal | undefined,
): Promise<Posted<{ chain: string[] }>> {
  const wait = { timeoutSeconds: REQUEST_TIMEOUT_SECONDS, signal };
  const line = await net.connect({ url: stored.enrol_url, roots: rootPems, client: null }, wait);
  if ("unreachable" in line) return line;
  try {
    const maxAnswerBytes = MAX_ANSWER_BYTES;
    const asked = await line.ask({ method: "GET", path: "/v1/nonce", body: null, maxAnswerBytes }, wait);
    if ("unreachable" in asked) return asked;
    const nonce = readAnswer(asked, NonceAnswer);
    if (!("ok" in nonce)) return nonce;
    const text = `reeve-renew\n${nonce.ok.nonce}\n${csr}`;
    const signature = Buffer.from(signWith(slot.key, Buffer.from(text))).toString("base64url");
    const body = JSON.stringify({ csr, chain: slot.chain, nonce: nonce.ok.nonce, signature });
    const answer = await line.ask({ method: "POST", path: "/v1/renew", body, maxAnswerBytes }, wait);
    return "unreachable" in answer ? answer : readAnswer(answer, RenewAnswer);
  } finally {
    line.close();
  }
}

/**
 * Past the grace, on a platform: null when the control plane says that this machine is the one that acted, and nothing but its certificate is over.
 * Then it may enrol anew by its platform. A machine that was replaced meanwhile hears that it is fenced, and does not take the place back.
 */
export async function onlyExpired(expired: Expired): Promise<EnrolmentFault | null> {
  const { stored } = expired;
  // Its key is thrown away: nothing is to be renewed.
  const { csr } = await newAsking(spiffeId(stored.trust_domain, stored.cluster));
  const { posted } = await askByExpired(expired, csr, undefined);
  if ("unreachable" in posted) return unreachable(stored.enrol_url, posted.unreachable);
  if ("ok" in posted)
    return enrolmentFault(
      "unavailable",
      "Cannot renew: by this machine's clock the certificate is past its grace, by the control plane's it is not.",
      "Set this machine's clock right; it is tried again.",
    );
  if (posted.fault === "expired") return null;
  return posted.fault === "certificate" ? pastGrace(null) : refusedEnrolment(posted.fault, posted.message);
}

/** `milliseconds`: for how long it has been expired; null when the control plane holds it for another's too. */
export function pastGrace(milliseconds: number | null): EnrolmentFault {
  const days = milliseconds === null ? null : Math.floor(milliseconds / (24 * 3600 * 1000));
  return enrolmentFault(
    "expired",
    days === null
      ? "Cannot renew: the certificate is past its grace, and the control plane knows a newer one of this agent."
      : `Cannot renew: the certificate expired ${days} days ago, and the grace is ${CERTIFICATE_GRACE_SECONDS / 86_400} days.`,
    "Run `reeve leave`, ask the vendor for a new join token, and start again.",
  );
}
