import { isRefusal } from "../../policy/refusal.ts";
import type { Config } from "../config.ts";
import { NOT_YET_VALID } from "../wire/certificateFault.ts";
import { spiffeId } from "../wire/names.ts";
import type { EnrolAnswer } from "../wire/protocol.ts";
import { checkChain } from "../wire/x509.ts";
import { givenTooEarly } from "./clock.ts";
import { type EnrolmentFault, enrolmentFault } from "./fault.ts";
import { digestOf, type Joining } from "./joining.ts";
import { newLogKeyPem, spkiOf } from "./keys.ts";
import type { Pending, Stored } from "./store.ts";
import { walkTrust } from "./trust.ts";

/** What the answer is held to. `root`: the one that the server showed and `joining` names. */
export type Asked = {
  readonly config: Config;
  readonly joining: Joining;
  readonly trustDomain: string;
  readonly root: Uint8Array;
  readonly pending: Pending;
  /** Machine clock, milliseconds. */
  readonly now: number;
};

/** An answer that names our key, our name and the pinned trust becomes an identity; nothing of it is durable yet. */
export async function storedOf(answer: EnrolAnswer, asked: Asked): Promise<Stored | EnrolmentFault> {
  const { config, joining, trustDomain, root, pending, now } = asked;
  const { cluster } = config;
  const { trust_sha256, enrol: url } = config.control_plane;
  const chain = chainFault(answer.chain, [root], spiffeId(trustDomain, cluster), pending.asking.key, now);
  if (chain === NOT_YET_VALID) return givenTooEarly(now);
  const bad =
    chain ??
    (/^https:\/\/[a-zA-Z0-9.[\]:-]+:\d{1,5}$/.test(answer.agents_url) ? null : "agents_url is not https://HOST:PORT");
  if (bad !== null) return badAnswer(bad);
  const { before } = joining;
  if (before !== null && !beginsWith(answer.trust, before.trust)) return otherTrust(before.trust.length);
  // Later ones than were accepted here come with the polls, where the owner is asked.
  const statements = before?.trust ?? answer.trust;
  const trust = await walkTrust(statements, { cluster, trustDomain, pin: trust_sha256 });
  if (isRefusal(trust)) return enrolmentFault("trust", `Cannot enrol: ${trust.because}.`, trust.hint);
  const rootText = Buffer.from(root).toString("base64");
  if (trust.newest !== null && !trust.newest.roots.includes(rootText)) {
    return enrolmentFault(
      "trust",
      "Cannot enrol: the newest trust statement does not name the root that is pinned.",
      "Ask the vendor for a join token made with a current root.",
    );
  }
  return {
    v: 1,
    cluster,
    trust_domain: trustDomain,
    epoch: answer.epoch,
    // The earliest that it can be: an answer may have been lost, and commands of this epoch made since.
    enrolled_at_ms: pending.began_at_ms,
    enrol_url: url,
    agents_url: answer.agents_url,
    trust_sha256,
    // What this machine first joined by stays its pin: a newer root is trusted by the statements that name it.
    root_sha256: before?.root_sha256 ?? digestOf(root),
    root: before?.root ?? rootText,
    token_sha256: joining.tokenSha256,
    by_token: joining.byToken,
    log_key: newLogKeyPem(),
    next_log_key: null,
    trust: [...statements],
    current: { key: pending.asking.key, chain: [...answer.chain] },
    next: null,
    asking: null,
  };
}

function beginsWith(statements: readonly string[], accepted: readonly string[]): boolean {
  return accepted.every((statement, at) => statements[at] === statement);
}

/** A machine that has a past does not walk from the pin again: a key that was dropped could sign the chain anew from where it still counted. */
function otherTrust(accepted: number): EnrolmentFault {
  return enrolmentFault(
    "trust",
    `Cannot enrol anew: the control plane's trust statements do not begin with the ${accepted} that this agent has accepted.`,
    "It would bring back keys that were dropped, or bring in some that nobody approved. Nothing was taken over. Ask the vendor whether a backup was put back; on a machine that is not trusted any more: reeve leave.",
  );
}

function badAnswer(what: string): EnrolmentFault {
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
