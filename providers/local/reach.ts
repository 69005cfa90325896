import { type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { getegid, geteuid, getgroups } from "node:process";
import { ZodError } from "zod";
import { DiskError, type Host } from "../../agent/host/host.ts";
import type { LocalConfig } from "../../agent/providerConfig/local.ts";
import { CallFailed, type ReachedPart } from "../provider.ts";
import { openAuthority } from "./authority.ts";
import { diskFailure } from "./call.ts";
import { exchange, type ServerConfig } from "./dnsServer.ts";
import { BadAnswer, TYPES } from "./dnsWire.ts";
import { groupBook } from "./group.ts";
import { PATH } from "./launch.ts";
import { endpointOf, type GroupConfig } from "./probe.ts";
import { readZone } from "./zonefile.ts";

const WRITE = 0o2;
const EXECUTE = 0o1;

type Found = Omit<ReachedPart, "what">;
const yes = (because: string): Found => ({ ok: true, because, hint: "" });
const no = (because: string, hint: string): Found => ({ ok: false, because, hint });

/** What `probe` says of this machine: each group, authority and zone of the config, side by side. It starts, signs and writes nothing. */
export function reached(host: Host, config: LocalConfig, state: string, signal: AbortSignal): Promise<ReachedPart[]> {
  const look = async (what: string, how: () => Promise<Found>): Promise<ReachedPart> => ({
    what,
    ...(await how().catch(failure)),
  });
  return Promise.all([
    ...Object.entries(config.groups).map(([name, group]) =>
      look(`group ${name}`, () => groupReached(host, state, name, group)),
    ),
    ...Object.entries(config.authorities).map(([name, { directory }]) =>
      look(`authority ${name}`, () => authorityReached(host, directory)),
    ),
    ...Object.entries(config.zones).map(([name, zone]) =>
      look(`zone ${name}`, () =>
        "server" in zone ? serverReached(host, name, zone, signal) : fileReached(host, name, zone.file),
      ),
    ),
  ]);
}

/** A refusal of the place or of the disk as a finding; our own mistakes go on up. */
function failure(error: unknown): Found {
  if (error instanceof DiskError)
    return no(`${error.path}: ${error.code}`, `ls -l ${error.path}; the agent's user must be able to use it.`);
  if (error instanceof CallFailed) return no(`${error.status}: ${error.words}`, hintFor(error.status));
  if (error instanceof BadAnswer)
    return no(`${error.code}: the answer is not surely the name server's`, hintFor(error.code));
  if (error instanceof ZodError || error instanceof SyntaxError)
    return no(
      "what the agent wrote down of its processes cannot be read",
      "Bring the file group-*.json in state/local back.",
    );
  const failed = diskFailure(error, "none");
  if (failed instanceof CallFailed) return no(`${failed.status}: ${failed.words}`, hintFor(failed.status));
  throw error;
}

function hintFor(status: string): string {
  if (status === "ECONNREFUSED" || status === "timeout" || status === "EHOSTUNREACH")
    return "Start the name server, or correct its address in the config.";
  if (status.startsWith("key-")) return "Give the file of the config the right key, 0600, the agent's own or root's.";
  if (status.startsWith("dns-") || status.startsWith("tsig-"))
    return "Compare the zone, the TSIG key's name, algorithm and secret with the name server's, and both clocks.";
  return "docs/PROVIDERS.md says what it must be.";
}

async function groupReached(host: Host, state: string, name: string, group: GroupConfig): Promise<Found> {
  const [program = ""] = group.command;
  const path = programOf(program);
  if (path === null)
    return no(
      `there is no program ${program}${program.includes("/") ? "" : ` in ${PATH}`}`,
      "Install it, or correct the group's command.",
    );
  const stats = statSync(path);
  if (!stats.isFile()) return no(`${path} is not a file`, "Name the program itself in the group's command.");
  if (!may(stats, EXECUTE)) return no(`${path} cannot be executed by the agent's user`, `chmod a+rx ${path}`);
  const uid = geteuid?.() ?? -1;
  const own = `${uid}:${getegid?.() ?? -1}`;
  if (group.user !== undefined && group.user !== own && uid !== 0)
    return no(
      `its processes are to run as ${group.user}, and only root can start them; the agent is ${own}`,
      "Take `user` out of the group, or run the agent so that it may.",
    );
  try {
    endpointOf(group.health, 0);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return no(`its health probe cannot be asked: ${error.message}`, "Correct the group's `health`.");
  }
  const book = groupBook(host, state, name);
  const live = await book.live(book.read().slots);
  return yes(`${path} can be started; ${live.length} of its processes live`);
}

/** Where the kernel would find it; null when nowhere. */
function programOf(program: string): string | null {
  const candidates = program.includes("/") ? [program] : PATH.split(":").map((folder) => `${folder}/${program}`);
  return candidates.find((path) => statSync(path, { throwIfNoEntry: false }) !== undefined) ?? null;
}

/** Whether this process may do it, by the file's mode and its own effective user. */
function may(stats: Stats, bit: number): boolean {
  const uid = geteuid?.() ?? -1;
  if (uid === 0) return bit === WRITE || (stats.mode & 0o111) !== 0;
  if (stats.uid === uid) return (stats.mode & (bit << 6)) !== 0;
  const gids = [getegid?.() ?? -1, ...(getgroups?.() ?? [])];
  return (stats.mode & (gids.includes(stats.gid) ? bit << 3 : bit)) !== 0;
}

async function authorityReached(host: Host, directory: string): Promise<Found> {
  const { certificate } = await openAuthority(host.disk, directory);
  const until = certificate.notAfter.getTime();
  if (until <= host.clock.now())
    return no(`the certificate of ${certificate.subject} has expired`, "Renew the authority's certificate: ca.crt.");
  if (!may(statSync(directory), WRITE))
    return no(
      `${directory} cannot be written by the agent's user, so nothing can be issued`,
      `chown the folder to the agent's user.`,
    );
  return yes(`${certificate.subject}, valid until ${certificate.notAfter.toISOString()}`);
}

async function serverReached(host: Host, zone: string, config: ServerConfig, signal: AbortSignal): Promise<Found> {
  const question = { name: zone, type: TYPES.SOA };
  const what = { update: false, question, prerequisites: [], changes: [] };
  const got = await exchange(host, config, what, () => undefined, { id: "doctor", signal });
  if (got.rcode !== "NOERROR" || !got.authoritative)
    return no(
      `${config.server} answers ${got.rcode}${got.authoritative ? "" : " and is not the zone's server"}`,
      "Name the zone's primary server in the config, and have it serve the zone.",
    );
  return yes(`${config.server} answers for it, signed with the key ${config.tsig.name}`);
}

async function fileReached(host: Host, zone: string, path: string): Promise<Found> {
  readZone(host.disk, path, { zone, name: zone, type: "A", change: "create", values: [], ttl: 0 });
  if (!may(statSync(dirname(path)), WRITE))
    return no(
      `${dirname(path)} cannot be written by the agent's user, so the file cannot be replaced`,
      "chown the folder to the agent's user.",
    );
  return yes(`${path} can be read, and replaced`);
}
