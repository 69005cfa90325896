import type { Command } from "commander";
import { segmentName } from "../audit/folder.ts";
import { movable, moveAway, staysWhole } from "../audit/moveAway.ts";
import { timeText } from "../audit/time.ts";
import { type Disk, DiskError } from "../host/host.ts";
import type { Machine } from "../host/machine.ts";
import { realHost } from "../host/real.ts";
import { LOG_KEPT_MIN_MS } from "../limits.ts";
import type { Status } from "../status.ts";
import { Complaint, DEFAULT_CONFIG } from "./config.ts";
import { instant } from "./filterFlags.ts";
import { folderOf, type Where } from "./readLog.ts";

const MAX_STATUS_BYTES = 1024 * 1024;
const DEFAULT_AGE_MS = 30 * 24 * 3600 * 1000;
const ANSWER_NO = 1;
const USAGE = 2;

type Options = Where & { readonly to: string; readonly before?: number; readonly json?: true };

/** `audit archive`: moves old segments elsewhere, beside a running agent. What it does can be done with `mv` too; it looks first. */
export function archiveCommand(audit: Command, machine: Machine): void {
  audit
    .command("archive")
    .description("move closed segments to another folder, each read back before it is removed here")
    .requiredOption("--to <folder>", "where to; it must be there")
    .option("--config <file>", "the agent's config, which says where the log is", DEFAULT_CONFIG)
    .option("--log <folder>", "the log's folder, instead of the config's")
    .option("--before <when>", "segments all of whose entries are older; without it, than 30 days", instant)
    .option("--json", "print JSON")
    .action((options: Options) => archive(options, machine));
}

function archive(options: Options, { stdout }: Machine): void {
  const cannot = "archive the log";
  const { disk, clock } = realHost();
  const before = options.before ?? clock.now() - DEFAULT_AGE_MS;
  const youngest = clock.now() - LOG_KEPT_MIN_MS;
  if (before > youngest)
    throw new Complaint(
      cannot,
      `what is younger than ${timeText(youngest)} is what rates look back on`,
      "Name an earlier --before: 8 days ago or more.",
      USAGE,
    );
  const { folder, config } = folderOf(disk, options);
  if (!disk.exists(options.to) || disk.stat(options.to).kind !== "directory")
    throw new Complaint(
      cannot,
      `${options.to} is not a folder`,
      "Make it, for the agent's user alone: mkdir -m 700",
      USAGE,
    );
  const segments = movable(disk, folder, before);
  const last = segments.at(-1);
  const broken = last === undefined ? null : staysWhole(disk, folder, last.next);
  if (broken !== null)
    throw new Complaint(cannot, broken, "reeve audit verify says what is wrong. Nothing was moved.", ANSWER_NO);
  const lost = config === null ? null : outOfContactSince(disk, `${config.runtime}/status.json`);
  if (lost !== null && lost < before && segments.length > 0)
    throw new Complaint(
      cannot,
      `the control plane has not been reached since ${timeText(lost)}, and is still to be handed what came after`,
      "Wait for contact, or name a --before that is earlier than that.",
      ANSWER_NO,
    );
  const moved: string[] = [];
  for (const segment of segments) {
    const because = moveAway(disk, folder, options.to, segment);
    if (because !== null)
      throw new Complaint(
        cannot,
        `${because}; ${moved.length} segments were moved before it`,
        "Look at both folders; it goes on when it is run again.",
        ANSWER_NO,
      );
    moved.push(segmentName(segment.first));
    if (!options.json) stdout(`moved ${segmentName(segment.first)}: entries ${segment.first} to ${segment.next - 1}\n`);
  }
  if (options.json) stdout(`${JSON.stringify({ moved, to: options.to })}\n`);
  else if (moved.length === 0) stdout(`nothing to move: no closed segment is older than ${timeText(before)}\n`);
  else stdout(`moved ${moved.length} segments; verify them with the log: reeve audit verify --with ${options.to}\n`);
}

/** Since when a running agent has not reached its control plane, by its own word; null when it has, or when no agent says. */
function outOfContactSince(disk: Disk, path: string): number | null {
  try {
    const status = JSON.parse(Buffer.from(disk.read(path, MAX_STATUS_BYTES).bytes).toString("utf8")) as Status;
    const since = status.out_of_contact?.since;
    return since === undefined ? null : Temporal.Instant.from(since).epochMilliseconds;
  } catch (error) {
    if (error instanceof DiskError && error.code === "ENOENT") return null;
    throw error;
  }
}
