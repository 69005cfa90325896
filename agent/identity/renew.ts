import type { Host } from "../host/host.ts";
import type { Network } from "../host/network.ts";
import { CERTIFICATE_GRACE_SECONDS, REQUEST_TIMEOUT_SECONDS } from "../limits.ts";
import { type FaultCode, RenewAnswer } from "../wire/protocol.ts";
import { type CheckedLeaf, checkChain } from "../wire/x509.ts";
import { chainFault } from "./answer.ts";
import { enrolmentFault } from "./fault.ts";
import { type Answered, askByExpired, pastGrace } from "./grace.ts";
import type { Renewal } from "./identity.ts";
import { newAsking } from "./keys.ts";
import type { OpenSession } from "./session.ts";
import type { Asking, Slot, Stored } from "./store.ts";

const JITTER = 0.1;

/** When to renew, in the unit of the arguments: at two thirds of the lifetime and up to a tenth of it later. `random`: 0 ≤ r < 1. */
export function renewAt(notBefore: number, notAfter: number, random: number): number {
  return Math.ceil(notBefore + (notAfter - notBefore) * (2 / 3 + JITTER * random));
}

/** The slot that is used: the newest that was issued. Never an older one again, for that is what a copy would do. */
export function newestSlot(stored: Stored): Slot {
  return stored.next ?? stored.current;
}

export type RenewDeps = {
  readonly host: Host;
  readonly net: Network;
  readonly session: OpenSession;
  readonly agentId: string;
  /** DER and PEM of the roots in force. */
  roots(): readonly Uint8Array[];
  rootPems(): readonly string[];
  stored(): Stored;
  /** Durable when it returns. */
  save(stored: Stored): void;
  /** 0 ≤ r < 1, the same for the same certificate as long as the process runs. */
  jitter(serial: string): number;
};

/** Renews the newest certificate if it is time, with a new key, over mTLS; past its end, within the grace, by a signature of its key. */
export async function renew(deps: RenewDeps, signal: AbortSignal | undefined): Promise<Renewal> {
  const leaf = leafOf(newestSlot(deps.stored()));
  const now = deps.host.clock.now();
  const atMs = renewAt(leaf.notBeforeMs, leaf.notAfterMs, deps.jitter(leaf.serial));
  if (now < atMs) return { notDue: { atMs } };
  const expiredFor = now - leaf.notAfterMs;
  if (expiredFor > CERTIFICATE_GRACE_SECONDS * 1000) return { fault: pastGrace(expiredFor) };
  const asking = await durableAsking(deps);
  const answered =
    expiredFor >= 0
      ? await askByExpired({ net: deps.net, stored: deps.stored(), rootPems: deps.rootPems() }, asking.csr, signal)
      : await overSession(deps, asking, signal);
  if ("unreachable" in answered.posted) return answered.posted;
  if ("fault" in answered.posted) {
    if (answered.posted.fault === "csr-invalid") dropAsking(deps);
    return refusedRenewal(answered.posted.fault, answered.posted.message);
  }
  return take(deps, asking, answered.signer, answered.posted.ok.chain);
}

/** What was read of a slot's chain: it is asked for with each poll, and a slot never changes. */
const leaves = new WeakMap<Slot, CheckedLeaf>();

/** A slot's own chain, checked when it was stored; its validity is the caller's question. */
export function leafOf(slot: Slot): CheckedLeaf {
  const known = leaves.get(slot);
  if (known !== undefined) return known;
  const chain = slot.chain.map((der) => new Uint8Array(Buffer.from(der, "base64")));
  const checked = checkChain(chain, chain.slice(-1), null);
  if ("bad" in checked) throw new Error(`a stored chain does not hold: ${checked.bad}`);
  leaves.set(slot, checked.leaf);
  return checked.leaf;
}

/** The key whose certificate is asked for. After a lost answer the same request is sent again. */
async function durableAsking(deps: RenewDeps): Promise<Asking> {
  const { asking } = deps.stored();
  if (asking !== null) return asking;
  const made = await newAsking(deps.agentId);
  // Stopped after this line, the next start asks with this key; the certificate in use is not touched.
  deps.save({ ...deps.stored(), asking: made });
  return made;
}

/** The next try asks with another key: the answer to this one may have expired while the machine was off, and it would come again. */
function dropAsking(deps: RenewDeps): void {
  deps.save({ ...deps.stored(), asking: null });
}

async function overSession(deps: RenewDeps, asking: Asking, signal: AbortSignal | undefined): Promise<Answered> {
  const options = { timeoutSeconds: REQUEST_TIMEOUT_SECONDS, ...(signal === undefined ? {} : { signal }) };
  const signer = newestSlot(deps.stored());
  return { posted: await deps.session.post("/v1/renew", { csr: asking.csr }, RenewAnswer, options), signer };
}

/** Stores the new slot before its first use, with every request of the older one ended and its connection closed. */
async function take(deps: RenewDeps, asking: Asking, signer: Slot, chain: string[]): Promise<Renewal> {
  const bad = chainFault(chain, deps.roots(), deps.agentId, asking.key, deps.host.clock.now());
  if (bad !== null) {
    dropAsking(deps);
    return { unreachable: `answer: ${bad}` };
  }
  const next: Slot = { key: asking.key, chain };
  const leaf = leafOf(next);
  await deps.session.exchange(() => {
    // Stopped before this line, the same request is sent again over the older certificate, and nobody used the new one.
    // Stopped after it, the newer one is used from the first connection on.
    deps.save({ ...deps.stored(), current: signer, next, asking: null });
  });
  return { renewed: { serial: leaf.serial, untilMs: leaf.notAfterMs } };
}

/** The state after the newest certificate was seen to be taken by the control plane: the older key is not needed any more. */
export function promoted(stored: Stored): Stored | null {
  return stored.next === null ? null : { ...stored, current: stored.next, next: null };
}

function refusedRenewal(code: FaultCode, words: string): Renewal {
  if (code === "fenced") {
    return {
      fault: enrolmentFault(
        "fenced",
        `Cannot renew: the control plane has fenced this agent (${words}).`,
        "The owner and the control plane's operator must both say that it goes on.",
      ),
    };
  }
  if (code === "certificate") {
    return {
      fault: enrolmentFault(
        "refused",
        `Cannot renew: the control plane does not take this certificate (${words}).`,
        "It may know a newer agent of this cluster. Ask the vendor; to go on here: `reeve leave` and a new join token.",
      ),
    };
  }
  if (code === "expired") {
    return {
      fault: enrolmentFault(
        "refused",
        `Cannot renew: by the control plane's clock the certificate is past its grace, by this machine's it is not (${words}).`,
        "Compare the two clocks. If this machine's is behind: set it right. Else: `reeve leave`, and a new join token from the vendor.",
      ),
    };
  }
  return { unreachable: `answer: ${code}` };
}
