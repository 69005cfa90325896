import { readCheckpoints, segmentName, segmentsIn } from "../audit/folder.ts";
import type { Disk } from "../host/host.ts";
import type { Survey } from "../host/survey.ts";
import { MAX_POLICY_BYTES } from "../limits.ts";
import type { Facts, Installed } from "./facts.ts";
import { attempt, pathFact } from "./look.ts";
import { octal } from "./user.ts";

const MAX_TAIL_BYTES = 256 * 1024;
const MAX_STATUS_BYTES = 1024 * 1024;
const MAX_SMALL_BYTES = 64 * 1024;
const MAX_LISTED = 1000;

/** What the support archive may hold beside the facts. Null: it could not be read. */
export type Support = {
  readonly system: ReturnType<Survey["system"]> & { readonly release: string | null };
  readonly installed: {
    readonly status: string | null;
    /** Null also when the policy does not share itself. */
    readonly policy: Uint8Array | null;
    readonly head: string | null;
    readonly entries: string | null;
    readonly listing: string;
  } | null;
};

/** Reads what goes into the archive, each file by its name here: no folder is taken as a whole. */
export function supportOf(disk: Disk, survey: Survey, { installed }: Facts): Support {
  // The link /etc/os-release leads here.
  const release = readText(disk, "/usr/lib/os-release", MAX_SMALL_BYTES);
  const system = { ...survey.system(), release };
  if (installed === null) return { system, installed: null };
  const { config, owner } = installed;
  const audit = `${config.state}/audit`;
  const shared = "policy" in owner.policy && owner.policy.policy.share.includes("policy");
  // Of a bucket nothing is taken along: who may read it there, may.
  const policy =
    owner.lies === "in-bucket"
      ? { code: "in-bucket" }
      : attempt(() => disk.read(`${owner.path}/policy.yaml`, MAX_POLICY_BYTES).bytes);
  const notes = attempt(() => readCheckpoints(disk, audit).notes.at(-1) ?? null);
  return {
    system,
    installed: {
      status: readText(disk, `${config.runtime}/status.json`, MAX_STATUS_BYTES),
      policy: shared && "value" in policy ? policy.value : null,
      head: "value" in notes ? notes.value : null,
      entries: newestEntries(disk, audit),
      listing: listingOf(disk, installed),
    },
  };
}

function readText(disk: Disk, path: string, max: number): string | null {
  const read = attempt(() => disk.read(path, max).bytes);
  return "value" in read ? Buffer.from(read.value).toString("utf8") : null;
}

/** The whole lines at the end of the newest segment. */
function newestEntries(disk: Disk, audit: string): string | null {
  const found = attempt(() => {
    const last = segmentsIn(disk, audit).at(-1);
    if (last === undefined) return null;
    const path = `${audit}/${segmentName(last)}`;
    const from = Math.max(0, disk.stat(path).size - MAX_TAIL_BYTES);
    const text = Buffer.from(disk.range(path, from, MAX_TAIL_BYTES)).toString("utf8");
    const begin = from === 0 ? 0 : text.indexOf("\n") + 1;
    return text.slice(begin, text.lastIndexOf("\n") + 1);
  });
  return "value" in found ? found.value : null;
}

/** Names, owners, modes and sizes. Of `details` and `csr` not even the names. */
function listingOf(disk: Disk, { config, owner }: Installed): string {
  const { state, runtime } = config;
  const folders = [
    state,
    `${state}/identity`,
    `${state}/audit`,
    runtime,
    ...(owner.lies === "in-bucket" ? [] : [owner.path, `${owner.path}/approvals`]),
  ];
  const lines = folders.flatMap((folder) => {
    const names = attempt(() => disk.list(folder));
    if ("code" in names) return [rowOf(disk, folder), `${folder}/: ${names.code}`];
    const more = names.value.length > MAX_LISTED ? [`${folder}/: ${names.value.length - MAX_LISTED} more`] : [];
    return [
      rowOf(disk, folder),
      ...names.value.slice(0, MAX_LISTED).map((name) => rowOf(disk, `${folder}/${name}`)),
      ...more,
    ];
  });
  return `${lines.join("\n")}\n`;
}

function rowOf(disk: Disk, path: string): string {
  const { stat, code } = pathFact(disk, path);
  if (stat === null) return `${code}  ${path}`;
  return `${stat.kind} ${octal(stat.mode)} ${stat.uid}:${stat.gid} ${stat.size}  ${path}`;
}
