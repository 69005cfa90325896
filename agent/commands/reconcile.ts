import { Command, InvalidArgumentError } from "commander";
import { TrailFault } from "../audit/reconcile/call.ts";
import {
  addEvent,
  beginComparison,
  type Comparison,
  endComparison,
  type Progress,
} from "../audit/reconcile/compare.ts";
import { addEntry, emptyLedger, type Ledger, type Period } from "../audit/reconcile/ledger.ts";
import { COULD_NOT_LOOK } from "../audit/verify.ts";
import type { Disk } from "../host/host.ts";
import { realHost } from "../host/real.ts";
import { filesBelow, plainPieces, UnreadableFile } from "../host/trail.ts";
import { MAX_RECONCILED_CALLS, MAX_RECONCILED_OPERATIONS, MAX_TRAIL_FILE_BYTES } from "../limits.ts";
import { printable } from "../render.ts";
import { Complaint, DEFAULT_CONFIG } from "./config.ts";
import { beginning, epochsIn, folderOf, read, type Shown, type Where } from "./readLog.ts";
import { type Files, type Looked, reconcileLines } from "./reconcileLines.ts";
import { type Asked, CANNOT, cannotWith, type Source, sourceOf } from "./reconcileSources.ts";

type Options = Where &
  Asked & {
    readonly from?: number;
    readonly to?: number;
    readonly json?: true;
  };

const ANSWER_NO = 1;
const USAGE = 2;
/** Names of files that are not of the cloud's log, that are shown. */
const MAX_IGNORED = 8;

/** `audit reconcile`: the log beside the cloud's own. Reads both, changes nothing, needs no network. */
export function reconcileCommand(stdout: (text: string) => void): Command {
  return new Command("reconcile")
    .description(
      "hold every call by the agent's role, as the cloud has it, to an entry of the log, and the other way round",
    )
    .option("--cloudtrail <folder>", "AWS: CloudTrail's files as they lie in S3, in folders of any depth")
    .option("--azure <folder>", "Azure: the Activity Log and Key Vault's audit events as JSON, in folders of any depth")
    .option(
      "--gcp <folder>",
      "Google Cloud: Cloud Audit Logs as a sink writes them, a LogEntry a line, in folders of any depth",
    )
    .option("--role <arn>", "the agent's role, instead of the config's: its ARN, or with --account its name")
    .option("--account <id>", "the account of --role")
    .option("--service-account <email>", "the agent's service account on Google Cloud, instead of the config's")
    .option("--project <id>", "the project of --service-account")
    .option("--principal <id>", "the agent's identity on Azure, instead of the config's: its object id")
    .option("--subscription <id>", "the subscription of --principal")
    .option("--resource-group <name>", "the resource group of --principal")
    .option(
      "--config <file>",
      "the agent's config, which says where the log is and whose calls are the agent's",
      DEFAULT_CONFIG,
    )
    .option("--log <folder>", "the log's folder, instead of the config's")
    .option("--from <time>", "leave out what was before, e.g. 2026-11-01T00:00:00Z", instant)
    .option("--to <time>", "leave out what was from then on", instant)
    .option("--json", "print the result as JSON")
    .addHelpText(
      "after",
      "\nExit codes: 0 nothing unexplained, nothing missing, every answer compared · 1 otherwise · 2 usage · 14 could not look: a file is not of the cloud's log, damaged or too large",
    )
    .action((options: Options) => reconcile(options, stdout));
}

function instant(text: string): number {
  try {
    return Temporal.Instant.from(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text).epochMilliseconds;
  } catch {
    throw new InvalidArgumentError("a time such as 2026-11-24T09:00:00Z.");
  }
}

async function reconcile(options: Options, stdout: (text: string) => void): Promise<void> {
  const { disk, clock } = realHost();
  const now = clock.now();
  const period: Period = { from: options.from ?? Number.NEGATIVE_INFINITY, to: options.to ?? Number.POSITIVE_INFINITY };
  if (period.from >= period.to) throw new Complaint(CANNOT, "--from is not before --to", "Swap them.", USAGE);
  const { folder, config } = folderOf(disk, options);
  const source = sourceOf(options, config);
  const ledger = readLedger(disk, folder, period);
  const progress = beginComparison(ledger, source.tables, period, MAX_RECONCILED_CALLS, source.trail.holdsReads);
  const files = await readTrail(disk, source, progress);
  const compared = endComparison(progress, now);
  process.exitCode = compared.agrees ? 0 : ANSWER_NO;
  const looked: Looked = {
    folder,
    source,
    ledger,
    files,
    from: options.from,
    to: options.to,
  };
  if (options.json) stdout(`${JSON.stringify(shown(compared, looked))}\n`);
  else for (const line of reconcileLines(compared, looked)) stdout(`${printable(line)}\n`);
}

/** The whole log: the epochs before, which lie in folders beside it, and the present one. */
function readLedger(disk: Disk, folder: string, period: Period): Ledger {
  const ledger = emptyLedger();
  const take = ({ entry }: Shown): void => {
    if (!addEntry(ledger, entry, period))
      throw tooMany(`the log has more than ${MAX_RECONCILED_OPERATIONS} commands and operations in this period`);
  };
  for (const one of [...epochsIn(disk, folder), folder]) {
    try {
      read(disk, one, beginning(disk, one), take);
    } catch (error) {
      // A damaged line is no answer to whether the two agree.
      if (!(error instanceof Complaint) || error.exit !== ANSWER_NO) throw error;
      throw new Complaint(CANNOT, `the log in ${one} cannot be read: ${error.because}`, error.hint, COULD_NOT_LOOK);
    }
  }
  return ledger;
}

function tooMany(because: string): Complaint {
  return new Complaint(
    CANNOT,
    because,
    "Take a shorter period: --from TIME --to TIME, one after the other.",
    COULD_NOT_LOOK,
  );
}

async function readTrail(disk: Disk, source: Source, progress: Progress): Promise<Files> {
  const { directory: folder } = source;
  const files: Files = { events: 0, digests: 0, ignored: 0, names: [] };
  for (const path of paths(disk, source)) {
    if (!/\.json(?:\.gz)?$/.test(path)) {
      files.ignored += 1;
      if (files.names.length < MAX_IGNORED) files.names.push(path);
    } else files[await readFile(disk, path, source, progress)] += 1;
  }
  if (files.events === 0)
    throw new Complaint(
      cannotWith(source.title),
      `there is no file of ${source.title}'s in ${folder}`,
      source.copy,
      COULD_NOT_LOOK,
    );
  return files;
}

function* paths(disk: Disk, { directory: folder, title }: Source): Generator<string> {
  try {
    yield* filesBelow(disk, folder);
  } catch (error) {
    throw complaintOf(error, folder, title);
  }
}

async function readFile(
  disk: Disk,
  path: string,
  { trail, title }: Source,
  progress: Progress,
): Promise<"events" | "digests"> {
  const splitter = trail.splitter();
  const take = (event: Uint8Array): void => {
    if (!addEvent(progress, trail.read(event)))
      throw tooMany(`${title} has more than ${MAX_RECONCILED_CALLS} calls by this role in this period`);
  };
  try {
    for await (const piece of plainPieces(disk, path, MAX_TRAIL_FILE_BYTES)) splitter.push(piece, take);
    return splitter.end(take) === "events" ? "events" : "digests";
  } catch (error) {
    throw complaintOf(error, path, title);
  }
}

/** Nothing is concluded from the rest when one file cannot be looked into: it may hold the call that matters. */
function complaintOf(error: unknown, path: string, title: string): unknown {
  const [file, because] =
    error instanceof UnreadableFile
      ? [error.path, error.because]
      : error instanceof TrailFault
        ? [path, error.because]
        : [];
  if (file === undefined) return error;
  return new Complaint(
    cannotWith(title),
    `${file} cannot be looked into: ${because}`,
    `Copy it anew, or take what is not ${title}'s out of the folder.`,
    COULD_NOT_LOOK,
  );
}

function shown(compared: Comparison, { ledger, files, source, from, to }: Looked): object {
  const { agrees, ...rest } = compared;
  const time = (one: number | undefined): string | null =>
    one === undefined ? null : Temporal.Instant.fromEpochMilliseconds(one).toString();
  return {
    agrees,
    ...source.json,
    from: time(from),
    to: time(to),
    log: { entries: ledger.entries, commands: ledger.commands.size, operations: ledger.operations },
    files: { events: files.events, digests: files.digests, ignored: files.ignored },
    ...rest,
  };
}
