import { type Command, InvalidArgumentError } from "commander";
import { prove } from "../audit/prove.ts";
import { COULD_NOT_LOOK, Found } from "../audit/verify/verdict.ts";
import type { Machine } from "../host/machine.ts";
import { realHost } from "../host/real.ts";
import { Complaint, DEFAULT_CONFIG } from "./config.ts";
import { folderOf, type Where } from "./readLog.ts";

type ProveOptions = Where & { readonly with: readonly string[]; readonly cosigned?: true; readonly out?: string };

/** `audit prove INDEX`: a proof of one entry that verifies alone. */
export function proveCommand(audit: Command, machine: Machine): void {
  audit
    .command("prove")
    .description("write a proof that an entry stands in the log, which verifies without it (c2sp.org/tlog-proof)")
    .argument("<index>", "the entry", entryIndex)
    .option("--config <file>", "the agent's config, which says where the log is", DEFAULT_CONFIG)
    .option("--log <folder>", "the log's folder, instead of the config's")
    .option("--with <folder>", "also a folder that older segments were moved to; may be given again", more, [])
    .option("--cosigned", "under the newest head that a witness has cosigned, instead of the newest")
    .option("--out <file>", "write it to a file, named .tlog-proof by custom, instead of standard output")
    .action((index: number, options: ProveOptions) => run(index, options, machine));
}

function more(one: string, before: readonly string[]): string[] {
  return [...before, one];
}

function entryIndex(text: string): number {
  if (!/^(?:0|[1-9]\d{0,14})$/.test(text)) throw new InvalidArgumentError("an entry's index.");
  return Number(text);
}

function run(index: number, options: ProveOptions, { stdout }: Machine): void {
  const { disk } = realHost();
  const { folder } = folderOf(disk, options);
  const proof = proven(() => prove(disk, [folder, ...options.with], index, options.cosigned ? "cosigned" : "newest"));
  if ("cannot" in proof)
    throw new Complaint(
      `prove entry ${index}`,
      proof.cannot,
      "reeve audit verify says what is here and whether it is whole.",
      COULD_NOT_LOOK,
    );
  if (options.out === undefined) stdout(proof.text);
  else disk.replace(options.out, Buffer.from(proof.text, "utf8"), 0o644);
}

/** A head that is no head is verify's to judge; here it proves nothing. */
function proven<T>(act: () => T): T | { readonly cannot: string } {
  try {
    return act();
  } catch (error) {
    if (error instanceof Found) return { cannot: error.damage.because };
    throw error;
  }
}
