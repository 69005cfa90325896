import type { Command } from "commander";
import { timeText } from "../../policy/duration.ts";
import type { Entry } from "../audit/entry.ts";
import { readLine } from "../audit/line.ts";
import { DiskError, type Host } from "../host/host.ts";
import type { Machine } from "../host/machine.ts";
import { sshSign } from "../host/sshKeygen.ts";
import { printable } from "../render.ts";
import { APPROVAL_NAMESPACE, approvalId, approvalMessage, kindOfApprovalId } from "../wire/approval.ts";
import { verifySshSignature } from "../wire/sshsig.ts";
import { type Found, findApprovable } from "./approvable.ts";
import { Complaint, DEFAULT_CONFIG } from "./config.ts";
import { beginning, folderOf, read } from "./readLog.ts";

const MAX_ENTRIES_FILE_BYTES = 64 * 1024 * 1024;
/** Tried in this order where no --key is given. */
const USUAL_KEYS = ["id_ed25519_sk", "id_ecdsa_sk", "id_ed25519", "id_ecdsa"];

type Options = {
  readonly config: string;
  readonly log?: string;
  readonly from?: string;
  readonly key?: string;
  readonly as?: string;
  readonly out?: string;
  readonly message?: true;
  readonly yes?: true;
  readonly json?: true;
};
export type ApproveDeps = {
  readonly host: Host;
  readonly machine: Pick<Machine, "stdout" | "stderr" | "stdin" | "confirm" | "home">;
  exit(code: number): void;
};

/** `approve ID`: on the approver's own computer. Shows what waits in full, and makes an SSH signature over its digest. */
export function approveCommand(program: Command, deps: ApproveDeps): void {
  program
    .command("approve")
    .description("show what waits for you in full, and sign your approval with your SSH key")
    .argument("<id>", "a command's id, trust-N or fencing-N, as `reeve status` and the log name it")
    .option("--from <file>", "the log's entries as `reeve audit show --json` prints them; - for standard input")
    .option("--log <folder>", "a log's folder, or a copy of one")
    .option("--config <file>", "the agent's config, where neither --from nor --log is given", DEFAULT_CONFIG)
    .option("--key <file>", "your private key, or the public half of a key in your SSH agent")
    .option("--as <name>", "your name in the policy: the file becomes ID.NAME.sig, beside another's")
    .option("--out <file>", "where to write the signature (default: ID.sig in this folder)")
    .option("--message", "print the bytes that are signed, and sign nothing")
    .option("--yes", "do not ask")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nPut the file into approvals/ of the owner's folder, by any path: it proves itself.\nExit codes: 0 signed · 1 it waits no more, or you said no · 2 usage · 3 it is not there, or not what it says · 4 not readable",
    )
    .action((id: string, options: Options) => approve(id, options, deps));
}

async function approve(id: string, options: Options, deps: ApproveDeps): Promise<void> {
  const { host, machine } = deps;
  const cannot = `approve ${printable(id).slice(0, 80)}`;
  if (kindOfApprovalId(id) === null)
    throw new Complaint(cannot, "it is no command's id, trust-N or fencing-N", "`reeve status` lists what waits.", 2);
  if (options.as !== undefined && !/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/.test(options.as))
    throw new Complaint(cannot, "--as takes a name as the policy's people have it", "a-z 0-9 and -.", 2);
  const found = findApprovable(entriesOf(host, machine, options), id);
  if (found === null)
    throw new Complaint(
      cannot,
      "no entry says that it waits",
      "Give the log of the agent where it waits: --from FILE.",
      3,
    );
  if ("bad" in found)
    throw new Complaint(cannot, found.bad, "Do not approve it; ask where these entries come from.", 3);
  const message = approvalMessage(found.cluster, found.what);
  if (options.message) return machine.stdout(Buffer.from(message).toString());
  if (!options.json) for (const line of shown(found, host.clock.now())) machine.stdout(`${printable(line)}\n`);
  const over = found.until !== null && host.clock.now() >= found.until * 1000;
  const late = found.ended ?? (over ? `its wait ended at ${timeText((found.until ?? 0) * 1000)}` : null);
  if (late !== null) throw new Complaint(cannot, late, "An approval would have no effect. Nothing was signed.", 1);
  const key = options.key ?? usualKey(host, machine.home());
  if (key === null) throw new Complaint(cannot, "no key is named", "Name your SSH key: --key ~/.ssh/id_ed25519.", 2);
  if (options.yes !== true && !(await machine.confirm(`Approve it with ${printable(key)}? [y/N] `))) {
    deps.exit(1);
    return machine.stderr("Nothing was signed. Without a terminal say --yes.\n");
  }
  sign(found, message, key, options, deps);
}

function sign(found: Found, message: Uint8Array, key: string, options: Options, { host, machine }: ApproveDeps): void {
  const id = approvalId(found.what);
  const signed = sshSign(key, APPROVAL_NAMESPACE, message);
  if ("because" in signed)
    throw new Complaint(
      `approve ${id}`,
      signed.because,
      "Try it by hand: ssh-keygen -Y sign -n reeve-approval -f KEY FILE.",
      1,
    );
  const block = signed.armored.trim();
  // What the agent would say to it is said here, before it travels.
  const verified = verifySshSignature(block, message, APPROVAL_NAMESPACE);
  if ("fault" in verified)
    throw new Complaint(
      `approve ${id}`,
      `the signature would not count: ${verified.because}`,
      "Use an Ed25519 or ECDSA key, or a security key.",
      1,
    );
  const name = options.as === undefined ? `${id}.sig` : `${id}.${options.as}.sig`;
  const file = options.out ?? name;
  host.disk.replace(file, Buffer.from(`${block}\n`), 0o644);
  if (options.json) {
    machine.stdout(
      `${JSON.stringify({ id, cluster: found.cluster, digest: found.what.digest, key: verified.key, file, until: found.until })}\n`,
    );
    return;
  }
  machine.stdout(
    `\nsigned by ${verified.key}\nwrote ${printable(file)}\n  Put it into the owner's folder: approvals/${name}\n`,
  );
}

function* entriesOf(host: Host, machine: ApproveDeps["machine"], options: Options): Iterable<Entry> {
  if (options.from === undefined) {
    const { folder } = folderOf(host.disk, options);
    const entries: Entry[] = [];
    read(host.disk, folder, beginning(host.disk, folder), ({ entry }) => entries.push(entry));
    yield* entries;
    return;
  }
  const text = options.from === "-" ? machine.stdin() : textFile(host, options.from);
  for (const [at, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const parsed = readLine(line);
    if (!("entry" in parsed))
      throw new Complaint(
        `read ${printable(options.from)}`,
        `line ${at + 1} is no entry of a log (${parsed.fault})`,
        "Give what `reeve audit show --json` prints.",
        3,
      );
    yield parsed.entry;
  }
}

function textFile(host: Host, path: string): string {
  try {
    return Buffer.from(host.disk.read(path, MAX_ENTRIES_FILE_BYTES).bytes).toString("utf8");
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    throw new Complaint(
      `read ${printable(path)}`,
      `it cannot be read (${error.code})`,
      "Name a file of entries, or - .",
      4,
    );
  }
}

function usualKey(host: Host, home: string | null): string | null {
  if (home === null) return null;
  return USUAL_KEYS.map((name) => `${home}/.ssh/${name}`).find((path) => host.disk.exists(path)) ?? null;
}

function shown(found: Found, now: number): string[] {
  const width = Math.max(...found.facts.map(([name]) => name.length));
  const left = found.until === null ? null : Math.max(0, Math.floor(found.until - now / 1000));
  return [
    found.title,
    ...found.facts.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`),
    `  ${"approved".padEnd(width)}  ${found.approved.join(", ") || "by nobody yet"}`,
    ...(found.until === null
      ? []
      : [`  ${"counts".padEnd(width)}  until ${timeText(found.until * 1000)} (${leftText(left ?? 0)} left)`]),
  ];
}

function leftText(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}
