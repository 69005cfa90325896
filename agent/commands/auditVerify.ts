import { type Command, InvalidArgumentError } from "commander";
import { type Cosigner, parseCosigner } from "../audit/cosignature.ts";
import { parseCheckpoint } from "../audit/note.ts";
import type { Against } from "../audit/verify/against.ts";
import { COULD_NOT_LOOK, type Witness } from "../audit/verify/verdict.ts";
import type { Disk } from "../host/host.ts";
import type { Machine } from "../host/machine.ts";
import { realHost } from "../host/real.ts";
import { printable } from "../render.ts";
import { Complaint, DEFAULT_CONFIG } from "./config.ts";
import { fetchedFrom, type ProviderOf } from "./fetchedLog.ts";
import { instant } from "./filterFlags.ts";
import { readCa } from "./readCa.ts";
import { folderOf, type Where } from "./readLog.ts";
import { verdictLines } from "./verdictLines.ts";
import { chainJson, chainLines, verifyEpochs } from "./verifyEpochs.ts";
import { verifyProofFile } from "./verifyProofFile.ts";

const MAX_NOTE_BYTES = 64 * 1024;

export type VerifyOptions = Where & {
  readonly bucket?: true;
  readonly epoch?: number;
  readonly ca?: string;
  readonly with: readonly string[];
  readonly against?: string;
  readonly witness: readonly Cosigner[];
  readonly controlWitness: readonly Cosigner[];
  readonly asOf?: number;
  readonly proof?: string;
  readonly head?: true;
  readonly json?: true;
};

/** `audit verify`: how far a log, or a proof out of one, can be relied on. */
export function verifyCommand(audit: Command, machine: Machine, provider: ProviderOf): void {
  audit
    .command("verify")
    .description("check every entry, and say how far the log can be relied on")
    .option("--config <file>", "the agent's config, which says where the log is", DEFAULT_CONFIG)
    .option("--log <folder>", "the log's folder, instead of the config's")
    .option("--ca <file>", "the vendor's root CA as PEM, from elsewhere than this machine")
    .option("--bucket", "the copy in the owner's bucket that the config names, instead of the folder on this machine")
    .option("--epoch <number>", "with --bucket: this epoch's log alone, else all of them as one chain", epochNumber)
    .option("--with <folder>", "also a folder that older segments were moved to; may be given again", more<string>, [])
    .option("--against <file-or-folder>", "hold the log to a head that was kept elsewhere, or to another copy")
    .option("--witness <key>", "a witness of the owner's choice, name+id+key; may be given again", witness, [])
    .option("--control-witness <key>", "the control plane's own witness; may be given again", witness, [])
    .option("--as-of <when>", "only what was written until then needs a witness", instant)
    .option("--proof <file>", "check one proof that `audit prove` wrote, instead of a log")
    .option(
      "--head",
      "print the newest head that holds as a note, to be kept elsewhere; the verdict goes to standard error",
    )
    .option("--json", "print the verdict as JSON")
    .addHelpText(
      "after",
      "\nExit codes: 0 whole, witnessed beyond the control plane · 10 witnessed by the control plane only · 11 whole, but the newest could have been cut · 12 incomplete · 13 damaged · 14 could not look",
    )
    .action((options: VerifyOptions) => verify(options, machine, provider));
}

function more<T>(one: T, before: readonly T[]): T[] {
  return [...before, one];
}

function epochNumber(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new InvalidArgumentError("an epoch's number.");
  return Number(text);
}

function witness(text: string, before: readonly Cosigner[]): Cosigner[] {
  const cosigner = parseCosigner(text);
  if (cosigner === null) throw new InvalidArgumentError("a witness's verifier key: NAME+ID+KEY, of type 0x04.");
  return [...before, cosigner];
}

async function verify(options: VerifyOptions, machine: Machine, provider: ProviderOf): Promise<void> {
  const { stdout, stderr } = machine;
  const { disk } = realHost();
  const ca = options.ca === undefined ? null : readCa(disk, options.ca, "verify the log");
  const witnesses: Witness[] = [
    ...options.witness.map((one) => ({ ...one, of: "owner" as const })),
    ...options.controlWitness.map((one) => ({ ...one, of: "control-plane" as const })),
  ];
  if (options.proof !== undefined) {
    process.exitCode = await verifyProofFile(disk, options.proof, { ca, witnesses }, options.json === true, stdout);
    return;
  }
  const fetched = options.bucket === true ? await fetchedFrom(disk, options, machine, provider) : null;
  const { folder, state } = fetched ?? folderOf(disk, options);
  const beside = state === null ? null : `${state}/identity/root.pem`;
  const against = options.against === undefined ? null : againstOf(disk, options.against);
  const how = { ca, with: options.with, witnesses, asOf: options.asOf ?? null, against };
  const looked = await verifyEpochs(disk, folder, how, fetched?.epoch ?? null).finally(() => fetched?.remove());
  const { verdict, chain } = looked;
  process.exitCode = chain?.exit ?? verdict.exit;
  const print = options.head ? stderr : stdout;
  if (options.json) print(`${JSON.stringify(chainJson(looked))}\n`);
  else if (fetched !== null) print(`copy       ${fetched.place}\n`);
  if (!options.json) {
    const lines = verdictLines(fetched?.place ?? folder, verdict, beside);
    for (const line of [...lines, ...chainLines(looked)]) print(`${printable(line)}\n`);
  }
  if (options.head && verdict.checkpoints.note !== null) stdout(verdict.checkpoints.note);
}

/** A head in a file, or another copy's folder. */
function againstOf(disk: Disk, path: string): Against {
  const cannot = (because: string): Complaint =>
    new Complaint("verify the log", because, "Give a head as a note, or another copy's folder.", COULD_NOT_LOOK);
  if (!disk.exists(path)) throw cannot(`${path} is not there`);
  if (disk.stat(path).kind === "directory") return { folder: path };
  const note = Buffer.from(disk.read(path, MAX_NOTE_BYTES).bytes).toString("utf8");
  const at = parseCheckpoint(note);
  if (at === null) throw cannot(`${path} is no head of such a log`);
  return { note, at, name: path };
}
