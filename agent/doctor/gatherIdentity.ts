import { isRefusal } from "../../policy/refusal.ts";
import type { Config } from "../config.ts";
import type { Disk, Host } from "../host/host.ts";
import { type EnrolmentFault, isEnrolmentFault } from "../identity/fault.ts";
import { digestOf } from "../identity/joining.ts";
import { logKeyOf } from "../identity/keys.ts";
import { checkKept, joinedElsewhere, trustPlaceOf } from "../identity/load.ts";
import { leafOf, newestSlot } from "../identity/renew.ts";
import { diskFault, NAMES, readStore, type Stored } from "../identity/store.ts";
import { readTokenText, tokenSource } from "../identity/token.ts";
import { rootsOf, type Trust, walkTrust } from "../identity/trust.ts";
import { spiffeId } from "../wire/names.ts";
import type { TokenClaims } from "../wire/protocol.ts";
import { readToken } from "../wire/token.ts";
import type { Fenced, IdentityFact, Joined, TokenFact } from "./facts.ts";
import { attempt, pathFact } from "./look.ts";
import { type AgentUser, mayWrite } from "./user.ts";

const MAX_FENCED_BYTES = 64 * 1024;

/** What servers may show, and by what the log's head is held: public, and by whose word. */
export type Pins = {
  /** Hex SHA-256 of roots. */
  readonly roots: readonly { readonly sha256: string; readonly by: string }[];
  /** DER of the roots in force; empty before joining. */
  readonly der: readonly Uint8Array[];
  readonly agentsUrl: string | null;
  /** The log key's public part. */
  /** Log keys whose private half is here, base64; null where there is no identity. */
  readonly logKeys: readonly string[] | null;
};

/** Who this machine is, as it is on disk: nothing is made, renewed or sent, and what is returned holds no secret. */
export async function identityFact(
  host: Host,
  config: Config,
  credentials: string | null,
  user: AgentUser,
): Promise<{ fact: IdentityFact; pins: Pins }> {
  const { disk } = host;
  const [token, claims] = tokenFact(host, config, credentials, user);
  const pins: Pins = { roots: firstPins(config, claims), der: [], agentsUrl: null, logKeys: null };
  const closed = (fault: EnrolmentFault) => ({
    fact: { state: "closed" as const, message: fault.message, hint: fault.hint },
    pins,
  });
  try {
    const store = readStore(disk, config.state, user.uid);
    const fenced = store.fencing() !== null ? fencedBy(disk, config) : null;
    const stored = store.load();
    if (stored === null) {
      const pending = store.loadPending();
      if (pending !== null && isEnrolmentFault(pending)) return closed(pending);
      return { fact: { state: "none", began: pending?.began_at_ms ?? null, token, fenced }, pins };
    }
    if (isEnrolmentFault(stored)) return closed(stored);
    const kept = checkKept(stored);
    if (kept !== null) return closed(kept);
    const source = tokenSource(config, credentials);
    const left = source?.kind === "file" && pathFact(disk, source.path).code !== "ENOENT" ? source.path : null;
    const { joined, trust } = await joinedFact(stored, config);
    return { fact: { ...joined, state: "joined", left, fenced }, pins: pinsOf(stored, trust) };
  } catch (error) {
    return closed(diskFault(error));
  }
}

function firstPins(config: Config, claims: TokenClaims | null): Pins["roots"] {
  const { root_sha256 } = config.control_plane;
  return [
    ...(root_sha256 === undefined ? [] : [{ sha256: root_sha256, by: "the config" }]),
    ...(claims === null ? [] : [{ sha256: claims.sha, by: "the join token" }]),
  ];
}

function pinsOf(stored: Stored, trust: Trust | null): Pins {
  const pinned = new Uint8Array(Buffer.from(stored.root, "base64"));
  const der = trust === null ? [pinned] : rootsOf(trust, pinned);
  const by = trust?.newest == null ? "this machine's enrolment" : `trust statement ${trust.newest.version}`;
  return {
    roots: der.map((root) => ({ sha256: digestOf(root), by })),
    der,
    agentsUrl: stored.agents_url,
    logKeys: [stored.log_key, ...(stored.next_log_key === null ? [] : [stored.next_log_key])].map(
      (pem) => logKeyOf(pem).publicKey,
    ),
  };
}

async function joinedFact(stored: Stored, config: Config): Promise<{ joined: Joined; trust: Trust | null }> {
  const walked = await walkTrust(stored.trust, trustPlaceOf(stored));
  const slot = newestSlot(stored);
  const leaf = leafOf(slot);
  const elsewhere = joinedElsewhere(stored, config);
  const newest = isRefusal(walked) ? null : walked.newest;
  return {
    trust: isRefusal(walked) ? null : walked,
    joined: {
      agentId: spiffeId(stored.trust_domain, stored.cluster),
      epoch: stored.epoch,
      enrolledAt: stored.enrolled_at_ms,
      certificate: { serial: leaf.serial, from: leaf.notBeforeMs, until: leaf.notAfterMs },
      chain: slot.chain,
      renewing: stored.asking !== null,
      elsewhere: elsewhere === null ? null : { message: elsewhere.message, hint: elsewhere.hint },
      trust: isRefusal(walked)
        ? { because: walked.because, hint: walked.hint }
        : {
            version: newest?.version ?? 0,
            keys: newest?.command_keys.map(({ kid }) => kid) ?? [],
            roots: newest?.roots.length ?? 1,
          },
      statements: stored.trust,
    },
  };
}

/** The join token's state. Its text stays in here. */
function tokenFact(
  host: Host,
  config: Config,
  credentials: string | null,
  user: AgentUser,
): [TokenFact, TokenClaims | null] {
  const source = tokenSource(config, credentials);
  const alone = config.provider !== "local" && config.control_plane.root_sha256 !== undefined;
  if (source === null) return [{ state: "unseen" }, null];
  const text = readTokenText(host.disk, source, user.uid);
  if (typeof text !== "string") {
    const instead = alone && text.fault === "token-missing";
    return [{ state: "bad", message: text.message, hint: text.hint, platform: instead }, null];
  }
  const claims = readToken(text, {
    cluster: config.cluster,
    url: config.control_plane.enrol,
    sha: config.control_plane.root_sha256,
    now: Math.floor(host.clock.now() / 1000),
  });
  if ("fault" in claims)
    return [
      {
        state: "bad",
        message: `in ${source.path}: ${claims.fault}`,
        hint: claims.hint,
        platform: alone && claims.expired,
      },
      null,
    ];
  const folder = pathFact(host.disk, source.path.replace(/\/[^/]*$/, "") || "/").stat;
  const removable = source.kind === "credential" || user.uid === 0 || (folder !== null && mayWrite(folder, user));
  return [{ state: "good", path: source.path, until: claims.exp * 1000, removable }, claims];
}

function fencedBy(disk: Disk, config: Config): Fenced {
  const read = attempt(() => disk.read(`${config.state}/identity/${NAMES.fenced}`, MAX_FENCED_BYTES).bytes);
  if ("code" in read) return { reason: `its record cannot be read (${read.code})`, at: null };
  try {
    const { reason, at_ms } = JSON.parse(new TextDecoder().decode(read.value)) as { reason?: unknown; at_ms?: unknown };
    return { reason: String(reason), at: Number.isSafeInteger(at_ms) ? Number(at_ms) : null };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError)
      return { reason: "its record is not whole", at: null };
    throw error;
  }
}
