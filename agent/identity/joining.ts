import { createHash } from "node:crypto";
import type { Config } from "../config.ts";
import { readToken, readTokenForm } from "../wire/token.ts";
import { type EnrolmentFault, enrolmentFault } from "./fault.ts";
import type { Stored } from "./store.ts";

/** What an enrolment goes by: a join token, what the platform shows, or both. */
export type Joining = {
  /** As it is sent; null: there is none that is good. */
  readonly token: string | null;
  /** SHA-256 of the token that lay there, good or not: its file goes once this machine has joined. */
  readonly tokenSha256: string | null;
  /** Whether there is a token that has not expired, by this machine's clock: somebody placed it within the day. */
  readonly byToken: boolean;
  /** SHA-256 in hex of the roots that the server may show. */
  readonly pins: readonly string[];
  /** Null: the control plane says it, and the pinned trust statement must say the same. */
  readonly trustDomain: string | null;
  /** The identity that this one takes the place of, on this machine. */
  readonly before: Stored | null;
};

export function digestOf(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * By the token, when there is one that is good; by the platform alone when it has expired or is not there, and then the config must say whose
 * control plane it is: what a proof binds is that root. `text`: the token's, or why there is none. `proves`: the platform can show who this is.
 */
export function joiningBy(
  config: Config,
  now: number,
  text: string | EnrolmentFault,
  proves: boolean,
): Joining | EnrolmentFault {
  const { enrol: url, root_sha256: wanted } = config.control_plane;
  const pins = wanted === undefined ? [] : [wanted];
  const byPlatform = { token: null, byToken: false, pins, trustDomain: null, before: null };
  if (typeof text !== "string") {
    if (text.fault !== "token-missing" || !proves) return text;
    return wanted === undefined ? withoutPin(text) : { ...byPlatform, tokenSha256: null };
  }
  const claims = readToken(text, { cluster: config.cluster, url, now: Math.floor(now / 1000) });
  if ("fault" in claims) {
    const code = claims.expired ? "token-expired" : "token-form";
    const fault = enrolmentFault(code, `Cannot enrol: ${claims.fault}.`, claims.hint);
    if (!claims.expired || !proves) return fault;
    if (wanted === undefined) return withoutPin(fault);
    // It goes along if it is this control plane's: by a clock that is right, it may be good.
    const form = readTokenForm(text);
    const token = "fault" in form || form.sha !== wanted ? null : text;
    return { ...byPlatform, token, tokenSha256: digestOf(text) };
  }
  if (wanted !== undefined && wanted !== claims.sha) {
    return enrolmentFault(
      "pin",
      `Cannot enrol: the join token names the root ${claims.sha}, the config ${wanted}.`,
      "Ask the vendor which is theirs. Nothing was sent.",
    );
  }
  return {
    token: text,
    tokenSha256: digestOf(text),
    byToken: true,
    pins: [claims.sha],
    trustDomain: claims.iss,
    before: null,
  };
}

function withoutPin({ fault, message }: EnrolmentFault): EnrolmentFault {
  return enrolmentFault(
    fault,
    `${message.replace(/\.$/, "")}; and to enrol by this machine's platform alone, the config must name the control plane's root.`,
    "Write control_plane.root_sha256 (`reeve-control serve` prints it as root_sha256), or ask the vendor for a new join token.",
  );
}
