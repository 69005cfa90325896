import type { Command } from "commander";
import { readNewRoot } from "../caFile.ts";
import { folderKey, folderKids, initKey } from "../keyFolder.ts";
import { type Change, isEmpty } from "../nextStatement.ts";
import { findRoot } from "../overlap.ts";
import { type NamedKey, readNamedKey } from "../publicKey.ts";
import { type Rotated, rotate } from "../rotate.ts";
import type { SignerOptions } from "../signer.ts";
import { clusterName } from "../statement.ts";
import type { ClusterRow, Store } from "../store.ts";
import { Complaint, complaintText, printable } from "../terminal.ts";
import { statementSigner, withSigner } from "./signing.ts";
import { out, withStore } from "./state.ts";

type Options = SignerOptions & {
  dir: string;
  cluster?: string[];
  all?: boolean;
  newKey?: string;
  addKey?: string[];
  dropKey?: string[];
  addRoot?: string[];
  dropRoot?: string[];
  addWitness?: string[];
  dropWitness?: string[];
  json?: boolean;
};
/** What became of one cluster, for a program. */
type Result = {
  readonly cluster: string;
  readonly result: "signed" | "unchanged" | "refused";
  readonly version: number | null;
  readonly digest: string | null;
  readonly signed_by: string | null;
  readonly command_keys: readonly string[] | null;
  /** Ids of commands on their way that the agent will refuse, because their key is dropped. */
  readonly stranded: readonly string[];
  readonly because: string | null;
};

const EXAMPLES = `
Examples:
  a new command key, and when \`keys show\` says that it was accepted, without the old one:
    reeve-control keys rotate --dir D --all --keys K --new-key cmd-2026-12
    reeve-control keys rotate --dir D --all --keys K --drop-key cmd-2026-11
  a stolen command key, in one statement:
    reeve-control keys rotate --dir D --all --keys K --new-key cmd-2026-12 --drop-key cmd-2026-11
  a new root beside the old one (see \`reeve-control ca --help\`):
    reeve-control keys rotate --dir D --all --keys K --add-root SHA256`;

export function addRotate(keys: Command): void {
  withSigner(
    keys
      .command("rotate")
      .description(
        "Sign the next trust statement of clusters. It names everything that the one before names, but for what is said here.",
      )
      .requiredOption("--dir <folder>", "the control plane's folder")
      .option("--cluster <name...>", "the clusters")
      .option("--all", "every cluster that has a statement; each is reported by itself"),
  )
    .option("--new-key <kid>", "make this command key in --keys, unless it is there, and add it")
    .option("--add-key <key...>", "add a command key: a name in --keys, KID=FILE, or a JWK file with a kid")
    .option("--drop-key <kid...>", "name this command key no more: what it signed is refused at once")
    .option("--add-root <root...>", "add a root CA: the SHA-256 of one in DIR/ca, or a PEM or DER file")
    .option("--drop-root <sha256...>", "name this root no more")
    .option("--add-witness <key...>", "add a witness key: KID=FILE, or a JWK file with a kid")
    .option("--drop-witness <kid...>", "name this witness key no more")
    .option("--json", "print JSON")
    .addHelpText("after", EXAMPLES)
    .action((options: Options) => rotateAll(options));
}

async function rotateAll(options: Options): Promise<void> {
  const cannot = "sign trust statements";
  if ((options.cluster === undefined) === (options.all !== true))
    throw new Complaint(2, cannot, "not exactly one of --cluster and --all is given", "Name clusters, or say --all.");
  if (options.newKey !== undefined && options.keys === undefined)
    throw new Complaint(
      2,
      cannot,
      "a new key needs a folder",
      "Give --keys FOLDER, or add its public half: --add-key.",
    );
  const results = await withStore(options.dir, async (store) => {
    const clusters = options.all ? await clustersWithStatements(store) : (options.cluster ?? []).map(clusterName);
    const change = await changeOf(options, cannot);
    if (isEmpty(change))
      throw new Complaint(2, cannot, "no change is named", "Say what to add or drop; see `keys rotate --help`.");
    const done: Result[] = [];
    for (const cluster of new Set(clusters)) done.push(await rotateOne(store, options, cluster, change));
    return done;
  });
  if (options.json) out(`${JSON.stringify({ clusters: results })}\n`);
  // What is so already is a no for the cluster that was named, and nothing to do for all of them after a run that was cut short.
  const bad = results.some((one) => one.result === "refused" || (one.result === "unchanged" && !options.all));
  process.exitCode = bad ? 1 : 0;
}

async function rotateOne(store: Store, options: Options, cluster: string, change: Change): Promise<Result> {
  try {
    const rotated = await rotate(store, options.dir, cluster, change, (newest) =>
      statementSigner(options, newest, change.dropKeys),
    );
    const result = rotated === null ? unchanged(cluster) : signed(rotated);
    if (!options.json) (rotated === null && !options.all ? process.stderr : process.stdout).write(textOf(result));
    return result;
  } catch (error) {
    // One cluster's refusal does not keep the others from theirs; our own mistakes end it all.
    if (!(error instanceof Complaint) || error.exit !== 1) throw error;
    if (!options.json) process.stderr.write(complaintText(error));
    return { ...unchanged(cluster), result: "refused", because: error.because };
  }
}

function signed(rotated: Rotated): Result {
  const { cluster, statement, kid, stranded } = rotated;
  const command_keys = statement.claims.command_keys.map((key) => key.kid);
  const { version, digest } = statement;
  return { cluster, result: "signed", version, digest, signed_by: kid, command_keys, stranded, because: null };
}

function unchanged(cluster: string): Result {
  const nothing = { version: null, digest: null, signed_by: null, command_keys: null, stranded: [] };
  return { cluster, result: "unchanged", ...nothing, because: "its newest statement is so already" };
}

function textOf(result: Result): string {
  if (result.result === "unchanged") return `${printable(`${result.cluster}: its newest statement is so already`)}\n`;
  const lines = [
    `trust statement ${result.version} of ${result.cluster} is signed by ${result.signed_by}; command keys now ${result.command_keys?.join(", ")}`,
    ...result.stranded.map((id) => `  command ${id} is signed by a key that it drops: the agent will refuse it`),
  ];
  return `${lines.map(printable).join("\n")}\n`;
}

async function clustersWithStatements(store: Store): Promise<string[]> {
  const rows = await store.read((sql) =>
    sql.rows<Pick<ClusterRow, "cluster">>("select distinct cluster from trust order by cluster"),
  );
  return rows.map((row) => row.cluster);
}

async function changeOf(options: Options, cannot: string): Promise<Change> {
  const added = (options.addKey ?? []).map((text) => keyToAdd(options, text, cannot));
  const dropRoots = (options.dropRoot ?? []).map((text) => rootToDrop(options.dir, text, cannot));
  const addRoots = (options.addRoot ?? []).map((text) => rootToAdd(options.dir, text, cannot));
  const addWitnesses = (options.addWitness ?? []).map((text) => readNamedKey(text, cannot));
  // Last: everything else that was said could be read, so a key is not made for nothing.
  const made = options.newKey === undefined ? [] : [await newKey(options.keys ?? "", options.newKey)];
  return {
    addKeys: [...added, ...made],
    dropKeys: options.dropKey ?? [],
    addRoots,
    dropRoots,
    addWitnesses,
    dropWitnesses: options.dropWitness ?? [],
  };
}

function keyToAdd(options: Options, text: string, cannot: string): NamedKey {
  const inFolder = options.keys !== undefined && folderKids(options.keys).includes(text);
  return inFolder ? folderKey(options.keys ?? "", text) : readNamedKey(text, cannot);
}

/** The same command again, after one that was cut short, finds the key that it made. */
async function newKey(folder: string, kid: string): Promise<NamedKey> {
  if (folderKids(folder).includes(kid)) return folderKey(folder, kid);
  const { x } = await initKey(folder, kid);
  return { kid, x };
}

function rootToAdd(dir: string, text: string, cannot: string): string {
  return /^[0-9a-f]{8,64}$/.test(text) ? findRoot(dir, text, cannot).der : readNewRoot(text, cannot);
}

/** In full it need not be one of ours: a statement may name a root from a file. */
function rootToDrop(dir: string, text: string, cannot: string): string {
  return /^[0-9a-f]{64}$/.test(text) ? text : findRoot(dir, text, cannot).sha256;
}
