import type { Command } from "commander";
import { timeText } from "../audit/time.ts";
import { supportArchive } from "../doctor/archive.ts";
import type { DoctorDeps } from "../doctor/deps.ts";
import { gather } from "../doctor/gather.ts";
import { supportOf } from "../doctor/gatherSupport.ts";
import { judge } from "../doctor/judge.ts";
import { countOf, linesJson, linesText } from "../doctor/words.ts";
import { DiskError } from "../host/host.ts";
import { printable } from "../render.ts";
import { Complaint, DEFAULT_CONFIG, readConfig } from "./config.ts";

type Options = { readonly config: string; readonly json?: true; readonly bundle?: string };

/** `doctor`: looks at everything that the agent needs, and says what to do. Exit 0 when nothing fails, 1 when something does. */
export function doctorCommand(program: Command, deps: Omit<DoctorDeps, "config">, exit: (code: number) => void): void {
  program
    .command("doctor")
    .description("look at everything that the agent needs, and say what is wrong and what to do; changes nothing")
    .option("--config <file>", "the agent's config", DEFAULT_CONFIG)
    .option("--json", "print one JSON object")
    .option("--bundle <file>", "also write a support archive (tar) that holds no secret")
    .addHelpText("after", "\nRun it as root or as the agent's user. Exit codes: 0 ok or warnings · 1 something fails")
    .action(async (options: Options) => {
      const { host, machine, survey } = deps;
      if (options.bundle !== undefined && host.disk.exists(options.bundle)) throw taken(options.bundle);
      const { facts, more } = await gather({ ...deps, config: configReader(deps) }, options.config, (found) =>
        options.bundle === undefined ? null : supportOf(host.disk, survey, found),
      );
      const lines = judge(facts);
      const about = { version: deps.version, time: timeText(facts.ran.at) };
      machine.stdout(options.json ? `${linesJson(lines, about)}\n` : linesText(lines));
      if (options.bundle !== undefined && more !== null)
        writeArchive(deps, options.bundle, supportArchive(facts, lines, more));
      exit(countOf(lines, "fail") === 0 ? 0 : 1);
    });
}

function taken(path: string): Complaint {
  return new Complaint("write the support archive", `${path} is there already`, "Name a file that is not.", 2);
}

/** Written with the rights that doctor was started with, after it has given the agent's user's back. */
function writeArchive(
  { survey, machine }: Pick<DoctorDeps, "survey" | "machine">,
  path: string,
  bytes: Uint8Array,
): void {
  try {
    survey.writeNew(path, bytes);
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    if (error.code === "EEXIST") throw taken(path);
    const denied = error.code === "EACCES" || error.code === "EPERM" || error.code === "EROFS";
    throw new Complaint(
      "write the support archive",
      `${path}: ${error.code}`,
      "Name a file in a folder that you can write, with room in it.",
      denied ? 4 : 1,
    );
  }
  machine.stderr(
    `wrote ${printable(path)} (${bytes.length} bytes, mode 0600): read its MANIFEST before you give it away\n`,
  );
}

function configReader({ host }: Pick<DoctorDeps, "host">): DoctorDeps["config"] {
  return (path) => {
    try {
      return { config: readConfig(host.disk, path).config };
    } catch (error) {
      if (!(error instanceof Complaint)) throw error;
      return { because: error.because, hint: error.hint };
    }
  };
}
