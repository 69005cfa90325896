import { writeSync } from "node:fs";
import { Command, Option } from "commander";
import { intents, matches } from "../audit/filter.ts";
import { OCSF_VERSION, ocsfEvents } from "../audit/ocsf.ts";
import { realHost } from "../host/real.ts";
import { DEFAULT_CONFIG } from "./config.ts";
import { type FilterOptions, filterOf, withFilterFlags } from "./filterFlags.ts";
import { beginning, folderOf, read, type Where } from "./readLog.ts";

type Options = Where & FilterOptions & { readonly format: "ocsf" };
const STANDARD_OUTPUT = 1;
const CHUNK_CHARS = 256 * 1024;
const AGAIN_MS = 5;

/** `audit export`: the log as another system's records, an event a line, in the log's order. Memory does not grow with the log. */
export function exportCommand(): Command {
  const command = new Command("export")
    .description("print the log's commands as events for a security data lake, a JSON line each")
    .addOption(
      new Option("--format <format>", `ocsf: Open Cybersecurity Schema Framework ${OCSF_VERSION}, API Activity`)
        .choices(["ocsf"])
        .makeOptionMandatory(),
    )
    .option("--config <file>", "the agent's config, which says where the log is", DEFAULT_CONFIG)
    .option("--log <folder>", "the log's folder, instead of the config's");
  return withFilterFlags(command).action(exportLog);
}

function exportLog(options: Options): void {
  const { disk } = realHost();
  const { folder } = folderOf(disk, options);
  const filter = filterOf(options);
  const intentOf = intents();
  let pending = "";
  const flush = (): void => {
    const text = pending;
    pending = "";
    print(text);
  };
  try {
    try {
      read(disk, folder, beginning(disk, folder), ({ line, entry }) => {
        const intent = intentOf(entry);
        if (!matches(filter, entry, intent)) return;
        for (const event of ocsfEvents(entry, line, intent)) pending += `${JSON.stringify(event)}\n`;
        if (pending.length >= CHUNK_CHARS) flush();
      });
    } finally {
      // Before a bad line ends it: what is good up to there is said.
      flush();
    }
  } catch (error) {
    // As when `head` has what it wanted: nobody reads on, and nothing more is to be done.
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
  }
}

/** Writes all of it, waiting while a reader is slow. */
function print(text: string): void {
  for (let rest = Buffer.from(text, "utf8"); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(STANDARD_OUTPUT, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Bun.sleepSync(AGAIN_MS);
    }
  }
}
