import { loadPolicy } from "../../../policy/parse.ts";
import type { Policy } from "../../../policy/policy.ts";
import { reviewJson, reviewLines } from "../../../policy/review/report.ts";
import { review } from "../../../policy/review/review.ts";
import { sentences } from "../../../policy/sentences.ts";
import { type Disk, DiskError, type Stat } from "../../host/host.ts";
import { MAX_POLICY_BYTES } from "../../limits.ts";
import { ownersDirectory } from "../../owner/place.ts";
import { printable } from "../../render.ts";
import { digestOf } from "../../wire/envelope.ts";
import { Complaint, DEFAULT_CONFIG, readConfig } from "../config.ts";
import type { CheckOptions, PolicyDeps } from "./check.ts";
import { type PolicyText, print, printJson } from "./read.ts";

/** Group or others may write. */
const WRITABLE_BY_OTHERS = 0o022;
/** The agent reads it as another user. */
const MODE = 0o644;

type Where = { readonly folder: string; readonly path: string; readonly uid: number; readonly cluster: string | null };
type Installed = { readonly digest: string; readonly policy: Policy | null };

function cannot(file: PolicyText): string {
  return `install ${file.path}`;
}

function statOf(disk: Disk, path: string): Stat | null {
  try {
    return disk.stat(path);
  } catch (error) {
    if (error instanceof DiskError && error.code === "ENOENT") return null;
    throw error;
  }
}

/** The owner's folder, judged as the agent judges it: what it would not read is not written. */
function whereTo(file: PolicyText, options: CheckOptions, disk: Disk): Where {
  const config = options.owner === undefined ? readConfig(disk, options.config ?? DEFAULT_CONFIG).config : null;
  const owner = config === null ? null : ownersDirectory(config);
  if (config !== null && owner === null) {
    const { bucket } = config.owner as { bucket: string };
    const because = `the owner's folder is ${bucket}, and this machine may only read it`;
    throw new Complaint(cannot(file), because, `With your own rights, put it at ${bucket}/owner/policy.yaml.`, 4);
  }
  const folder = options.owner ?? owner?.directory ?? "";
  const stat = statOf(disk, folder);
  if (stat === null)
    throw new Complaint(cannot(file), `there is no folder ${folder}`, "Compare owner.directory in the config.", 3);
  if (stat.kind !== "directory") {
    throw new Complaint(cannot(file), `${folder} is not a folder itself`, "Name the folder, not a link to it.", 4);
  }
  if ((stat.mode & WRITABLE_BY_OTHERS) !== 0) {
    throw new Complaint(cannot(file), `${folder} can be written by others`, `sudo chmod go-w ${folder}`, 4);
  }
  if (owner !== null && stat.uid !== owner.uid && stat.uid !== 0) {
    throw new Complaint(cannot(file), `${folder} is owned by uid ${stat.uid}`, `sudo chown ${owner.uid} ${folder}`, 4);
  }
  return { folder, path: `${folder}/policy.yaml`, uid: stat.uid, cluster: config?.cluster ?? null };
}

/** What lies there now; null when nothing does. Never through a link. */
function installedAt(file: PolicyText, path: string, disk: Disk): Installed | null {
  const stat = statOf(disk, path);
  if (stat === null) return null;
  if (stat.kind !== "file") {
    throw new Complaint(cannot(file), `${path} is a link or not a plain file`, "Take it away, then install again.", 4);
  }
  const { bytes } = disk.read(path, MAX_POLICY_BYTES);
  const loaded = loadPolicy(bytes);
  return { digest: digestOf(bytes), policy: "policy" in loaded ? loaded.policy : null };
}

function refuseOlder(file: PolicyText, installed: Installed | null, cluster: string | null): void {
  const { policy } = file;
  const expected = cluster ?? installed?.policy?.cluster ?? policy.cluster;
  if (policy.cluster !== expected) {
    throw new Complaint(
      cannot(file),
      `it is for the cluster ${policy.cluster}, this is ${expected}`,
      "Install it where it belongs.",
      1,
    );
  }
  const before = installed?.policy?.revision ?? 0;
  if (policy.revision > before) return;
  const same = policy.revision === before ? "the same revision" : "a higher revision";
  const because = `its revision is ${policy.revision}, and the installed file, which has other bytes, has ${same}`;
  throw new Complaint(cannot(file), because, `Give it the revision ${before + 1} or higher.`, 1);
}

type Changes = { readonly added: readonly string[]; readonly gone: readonly string[] };

function changesOf(policy: Policy, before: Policy | null): Changes {
  const [now, then] = [sentences(policy), before === null ? [] : sentences(before)];
  return { added: now.filter((line) => !then.includes(line)), gone: then.filter((line) => !now.includes(line)) };
}

function showChanges(file: PolicyText, installed: Installed | null, where: Where): void {
  const { added, gone } = changesOf(file.policy, installed?.policy ?? null);
  if (installed === null) print(`There is no ${where.path} yet: everything is refused.`);
  else if (installed.policy === null) print(`${where.path} does not load: everything is refused.`);
  else {
    const reviewed = review(file.policy, installed.policy);
    const named = [
      { policy: file.policy, name: "the new file" },
      { policy: installed.policy, name: "the installed file" },
    ] as const;
    for (const line of reviewLines(reviewed, named[0], named[1])) print(line);
  }
  print("");
  for (const line of gone) print(`- ${line}`);
  for (const line of added) print(`+ ${line}`);
}

function jsonOf(file: PolicyText, installed: Installed | null, where: Where): object {
  const before = installed?.policy ?? null;
  const reviewed =
    before === null
      ? null
      : reviewJson(
          review(file.policy, before),
          { policy: file.policy, name: "new" },
          { policy: before, name: "installed" },
        );
  const { policy, digest } = file;
  return {
    path: where.path,
    digest,
    revision: policy.revision,
    replaced: installed?.digest ?? null,
    review: reviewed,
    ...changesOf(policy, before),
  };
}

function put(file: PolicyText, where: Where, disk: Disk): void {
  try {
    // If we stop before the rename inside, the former file is whole and in force; after it, the new one is.
    disk.replace(where.path, file.bytes, MODE, where.uid);
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    throw new Complaint(
      cannot(file),
      `${where.path} cannot be written (${error.code})`,
      "Run it as the folder's owner: sudo reeve …",
      4,
    );
  }
}

export async function install(
  file: PolicyText,
  options: CheckOptions,
  { host, interactive, confirm }: PolicyDeps,
): Promise<void> {
  if (options.format === "github") {
    throw new Complaint(cannot(file), "--install does not go with --format github", "Use --json.", 2);
  }
  const json = options.json === true;
  const where = whereTo(file, options, host.disk);
  const installed = installedAt(file, where.path, host.disk);
  if (installed?.digest === file.digest) {
    if (json) printJson({ installed: true, changed: false, path: where.path, digest: file.digest });
    else print(`${where.path} is this file already, ${file.digest}.`);
    return;
  }
  refuseOlder(file, installed, where.cluster);
  if (!json) showChanges(file, installed, where);
  if (options.yes !== true) {
    if (!interactive) throw new Complaint(cannot(file), "there is no terminal to ask on", "Say --yes.", 2);
    if (!(await confirm(`Install it as ${printable(where.path)}? [y/N] `))) {
      process.exitCode = 1;
      print("Nothing was installed.");
      return;
    }
  }
  if (installedAt(file, where.path, host.disk)?.digest !== installed?.digest) {
    throw new Complaint(cannot(file), `${where.path} was changed meanwhile`, "Look at it, then install again.", 1);
  }
  const said = json ? jsonOf(file, installed, where) : {};
  put(file, where, host.disk);
  if (json) printJson({ installed: true, changed: true, ...said });
  else
    print(
      `installed ${where.path}: revision ${file.policy.revision}, ${file.digest}. The next command is judged by it.`,
    );
}
