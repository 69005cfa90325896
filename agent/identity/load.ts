import { isRefusal } from "../../policy/refusal.ts";
import type { Provider } from "../../providers/provider.ts";
import type { Config } from "../config.ts";
import { DiskError, type Host } from "../host/host.ts";
import type { Network } from "../host/network.ts";
import { CERTIFICATE_GRACE_SECONDS, CERTIFICATE_LIFETIME_SECONDS } from "../limits.ts";
import { ownersConsent } from "../owner/consent.ts";
import type { OwnersFolder } from "../owner/folder.ts";
import { policyReader } from "../owner/policy.ts";
import { spiffeId } from "../wire/names.ts";
import { certificatePem } from "../wire/x509.ts";
import { clockBehind, tokenAgainstClock } from "./clock.ts";
import { type Enrolling, enrol } from "./enrol.ts";
import { type EnrolmentFault, enrolmentFault, isEnrolmentFault } from "./fault.ts";
import { onlyExpired } from "./grace.ts";
import type { Identity, Renewal } from "./identity.ts";
import { digestOf, joiningBy } from "./joining.ts";
import { logKeyOf, logKeysOf, signWith, spkiOf } from "./keys.ts";
import { leafOf, newestSlot, promoted, type RenewDeps, renew } from "./renew.ts";
import { type Credentials, openSession } from "./session.ts";
import { damaged, diskFault, fencingDigest, openStore, type Store, type Stored } from "./store.ts";
import { readTokenText, removeToken, type TokenSource, tokenSource } from "./token.ts";
import { commandKeysOf, extendTrust, newestOf, rootsOf, type Trust, walkTrust, witnessKeysOf } from "./trust.ts";

/**
 * The identity on disk, or a new one by the join token, by what the platform shows, or by both. `uid`: the user that this process runs as.
 * `credentials`: systemd's credentials folder, or null. `prove`: the configured provider's.
 * A fault with exit 5 may be tried again; every other needs somebody to do what its hint says.
 */
export async function loadOrEnrol({
  host,
  net,
  config,
  owner,
  credentials,
  uid,
  prove,
}: {
  host: Host;
  net: Network;
  config: Config;
  owner: OwnersFolder;
  credentials: string | null;
  uid: number;
  prove: Provider["prove"];
}): Promise<Identity | EnrolmentFault> {
  const token = tokenSource(config, credentials);
  try {
    const store = openStore(host, config.state, uid);
    if (isEnrolmentFault(store)) return store;
    const stillFenced = fenced(owner, store);
    if (stillFenced !== null) return stillFenced;
    const enrolling: Enrolling = { host, net, config, store, prove };
    const found = await usableOf(store.load() ?? (await firstEnrolment(enrolling, token, uid)), config);
    const usable = isEnrolmentFault(found) ? found : await notPastGrace(enrolling, found);
    if (isEnrolmentFault(usable)) return usable;
    const { stored, trust } = usable;
    const begins = leafOf(newestSlot(stored)).notBeforeMs;
    const behind = clockBehind(host.clock.now(), begins, "its own certificate is valid only from");
    if (behind !== null) return behind;
    // Stopped before this line, the next start comes here again: the token is burnt, and only its file is left.
    store.removePending();
    return removeUsedToken(host, token, stored, uid) ?? identityOf(host, net, config, store, stored, trust);
  } catch (error) {
    return diskFault(error);
  }
}

async function firstEnrolment(
  enrolling: Enrolling,
  token: TokenSource | null,
  uid: number,
): Promise<Stored | EnrolmentFault> {
  const { host, net, config, prove } = enrolling;
  const text = readTokenText(host.disk, token, uid);
  const now = host.clock.now();
  const alone = prove !== null && config.control_plane.root_sha256 !== undefined;
  const doubt = typeof text === "string" ? await tokenAgainstClock(net, config, text, now, alone) : null;
  if (doubt !== null) return doubt;
  const joining = joiningBy(config, now, text, prove !== null);
  return isEnrolmentFault(joining) ? joining : enrol(enrolling, joining);
}

type Usable = { readonly stored: Stored; readonly trust: Trust };

/** What is stored fits the config, and holds together. */
async function usableOf(stored: Stored | EnrolmentFault, config: Config): Promise<Usable | EnrolmentFault> {
  if (isEnrolmentFault(stored)) return stored;
  const elsewhere = joinedElsewhere(stored, config);
  if (elsewhere !== null) return elsewhere;
  const trust = await walkTrust(stored.trust, trustPlaceOf(stored));
  const kept = isRefusal(trust) ? damaged(`${config.state}/identity/agent.json`) : checkKept(stored);
  return kept ?? { stored, trust: trust as Trust };
}

/**
 * Past its grace a certificate renews no more. Where the platform can say who this machine is, it enrols anew, as the next epoch, if it is the one
 * that acted: one that was replaced meanwhile stays fenced. Elsewhere the fault comes when it is to be renewed.
 */
async function notPastGrace(enrolling: Enrolling, usable: Usable): Promise<Usable | EnrolmentFault> {
  const { host, net, config, store, prove } = enrolling;
  const { stored, trust } = usable;
  const now = host.clock.now();
  if (prove === null || now - leafOf(newestSlot(stored)).notAfterMs <= CERTIFICATE_GRACE_SECONDS * 1000) return usable;
  const roots = rootsOf(trust, new Uint8Array(Buffer.from(stored.root, "base64")));
  const pending = store.loadPending();
  if (pending !== null && isEnrolmentFault(pending)) return pending;
  // Once the new key was sent and not refused, its epoch may act already, and the older one is fenced by our own doing.
  const begun = pending?.sent === true && now - pending.began_at_ms < CERTIFICATE_LIFETIME_SECONDS * 1000;
  const over = begun ? null : await onlyExpired({ net, stored, rootPems: roots.map(certificatePem) });
  if (over !== null) return over;
  const anew = await enrol(enrolling, {
    token: null,
    tokenSha256: stored.token_sha256,
    byToken: false,
    pins: roots.map(digestOf),
    trustDomain: stored.trust_domain,
    before: stored,
  });
  return usableOf(anew, config);
}

/** Unlinks the file if it still holds the token that made this identity; another token there is not ours to touch. */
function removeUsedToken(host: Host, token: TokenSource | null, stored: Stored, uid: number): EnrolmentFault | null {
  if (token?.kind !== "file" || !host.disk.exists(token.path)) return null;
  const text = readTokenText(host.disk, token, uid);
  return typeof text === "string" && digestOf(text) === stored.token_sha256 ? removeToken(host.disk, token) : null;
}

/** What of the config is no longer what this agent joined with. */
export function joinedElsewhere(stored: Stored, config: Config): EnrolmentFault | null {
  const wanted: readonly (readonly [string, string, string | undefined])[] = [
    ["cluster", stored.cluster, config.cluster],
    ["control_plane.enrol", stored.enrol_url, config.control_plane.enrol],
    ["control_plane.trust_sha256", stored.trust_sha256, config.control_plane.trust_sha256],
    ["control_plane.root_sha256", stored.root_sha256, config.control_plane.root_sha256 ?? stored.root_sha256],
  ];
  const other = wanted.find(([, joined, asked]) => joined !== asked);
  if (other === undefined) return null;
  return enrolmentFault(
    "joined-elsewhere",
    `Cannot start: this agent has joined with ${other[0]} ${other[1]}, the config now says ${other[2]}.`,
    "Bring the config back, or leave the other control plane first: reeve leave.",
  );
}

/** What its trust statements are judged against. */
export function trustPlaceOf(stored: Stored) {
  return { cluster: stored.cluster, trustDomain: stored.trust_domain, pin: stored.trust_sha256 };
}

/** What the agent stored must hold together: keys fit their certificates, the root its digest. */
export function checkKept(stored: Stored): EnrolmentFault | null {
  try {
    const fits = [stored.current, ...(stored.next === null ? [] : [stored.next])].every(
      (slot) => Buffer.compare(leafOf(slot).spki, spkiOf(slot.key)) === 0,
    );
    logKeyOf(stored.log_key);
    if (stored.next_log_key !== null) logKeyOf(stored.next_log_key);
    const rootFits = digestOf(Buffer.from(stored.root, "base64")) === stored.root_sha256;
    return fits && rootFits ? null : damaged("the stored identity");
  } catch {
    return damaged("the stored identity");
  }
}

/** Null when this agent is not fenced, or when the owner has approved the end of exactly this fencing. */
function fenced(owner: OwnersFolder, store: Store): EnrolmentFault | null {
  const digest = store.fencing();
  const stored = digest === null ? null : store.load();
  if (digest === null) return null;
  if (stored !== null && isEnrolmentFault(stored)) return stored;
  if (
    stored !== null &&
    ownersConsent(
      // The log is not open yet: its revision is looked at once more before the fencing ends.
      {
        owner,
        cluster: stored.cluster,
        revision: 0,
        readPolicy: policyReader(owner),
      },
      { kind: "fencing", epoch: stored.epoch, digest },
    ).person !== null
  )
    return null;
  return enrolmentFault(
    "fenced",
    "Cannot start: this agent was fenced.",
    `Find out why (reeve audit show). To go on: \`reeve approve fencing-${stored?.epoch ?? "N"}\`, and the control plane's operator must agree. To join again: reeve leave, and a new join token from the vendor.`,
  );
}

function identityOf(
  host: Host,
  net: Network,
  config: Config,
  store: Store,
  loaded: Stored,
  loadedTrust: Trust,
): Identity {
  let stored = loaded;
  let trust = loadedTrust;
  const agentId = spiffeId(stored.trust_domain, stored.cluster);
  const pinned = new Uint8Array(Buffer.from(stored.root, "base64"));
  const jitters = new Map<string, number>();
  let renewing: Promise<Renewal> | null = null;
  const save = (next: Stored) => {
    store.save(next);
    stored = next;
  };
  const roots = () => rootsOf(trust, pinned);
  const rootPems = () => roots().map(certificatePem);
  const credentials = (): Credentials => ({
    id: digestOf(JSON.stringify([newestSlot(stored).chain, rootPems()])),
    url: stored.agents_url,
    roots: rootPems(),
    client: clientOf(stored),
  });
  const used = (id: string) => {
    const after = promoted(stored);
    if (after !== null && id === credentials().id) ignoringDisk(() => save(after));
  };
  const session = openSession({ net, clock: host.clock, credentials, used });
  const deps: RenewDeps = {
    host,
    net,
    session,
    agentId,
    roots,
    rootPems,
    stored: () => stored,
    save,
    jitter(serial) {
      const known = jitters.get(serial);
      if (known !== undefined) return known;
      const drawn = (host.random.bytes(1)[0] ?? 0) / 256;
      jitters.set(serial, drawn);
      return drawn;
    },
  };
  return {
    agentId,
    trustDomain: stored.trust_domain,
    cluster: stored.cluster,
    epoch: stored.epoch,
    enrolledAtMs: stored.enrolled_at_ms,
    byToken: stored.by_token,
    chain: () => newestSlot(stored).chain,
    certificateUntilMs: () => leafOf(newestSlot(stored)).notAfterMs,
    roots,
    rootPem: certificatePem(pinned),
    logKeys: logKeysOf({ stored: () => stored, save: (keys) => save({ ...stored, ...keys }) }),
    commandKeys: () => commandKeysOf(trust),
    witnessKeys: () => witnessKeysOf(trust),
    trustVersion: () => trust.newest?.version ?? 0,
    newestTrust: () => newestOf(trust),
    sign: (bytes) => signWith(newestSlot(stored).key, bytes),
    session,
    renewIfDue(signal) {
      renewing ??= orTryLater(renew(deps, signal)).finally(() => {
        renewing = null;
      });
      return renewing;
    },
    acceptTrust: (statements, approved) =>
      extendTrust(
        trust,
        statements,
        trustPlaceOf(stored),
        config.key_rotation === "automatic" ? "automatic" : approved,
        (next) => {
          save({ ...stored, trust: [...next.statements] });
          trust = next;
        },
      ),
    markFenced(reason, record) {
      const text = `${JSON.stringify({ v: 1, reason, at_ms: host.clock.now() })}\n`;
      record(fencingDigest(text));
      // If we stop before the next line, the next start asks, and is fenced anew.
      store.saveFenced(text);
    },
    fencing: () => store.fencing(),
    endFencing: () => store.removeFenced(),
  };
}

function clientOf(stored: Stored): { certificate: string; key: string } {
  const slot = newestSlot(stored);
  // The root is not presented: the server knows it.
  const shown = slot.chain.slice(0, -1).map((der) => certificatePem(new Uint8Array(Buffer.from(der, "base64"))));
  return { certificate: shown.join(""), key: slot.key };
}

/** Dropping the older key may wait for the next answer: the newer one is used whether it is dropped or not. */
function ignoringDisk(drop: () => void): void {
  try {
    drop();
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
  }
}

/** A disk that does not take the renewal now leaves the certificate in use as it was: the same request goes out again later. */
async function orTryLater(renewal: Promise<Renewal>): Promise<Renewal> {
  try {
    return await renewal;
  } catch (error) {
    if (error instanceof DiskError) return { unreachable: `disk: ${error.code}` };
    throw error;
  }
}
