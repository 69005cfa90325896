import type { Command } from "commander";
import type { TrustClaims } from "../../agent/wire/protocol.ts";
import { folderKids } from "../keyFolder.ts";
import { openSigner, type Signer, type SignerOptions } from "../signer.ts";
import { readStatements, type Statement } from "../statement.ts";
import { readCluster, type Store } from "../store.ts";
import { Complaint } from "../terminal.ts";

/** The flags by which a command key is named. */
export function withSigner(command: Command): Command {
  return command
    .option("--keys <folder>", "the folder of `keys init`")
    .option("--kid <name>", "which key of the folder, or the name of the signer's key")
    .option(
      "--signer <command>",
      "a program that signs: bytes on stdin, the Ed25519 signature (64 bytes, or base64) on stdout",
    )
    .option("--signer-key <file>", "the signer's public key: a JWK, its x, PEM, or the line of `ssh-add -L`");
}

export function needSigner(options: SignerOptions): Signer {
  const signer = openSigner(options);
  if (signer !== null) return signer;
  throw new Complaint(
    2,
    "sign",
    "no command key is named",
    "Give --keys FOLDER, or --signer COMMAND with --signer-key FILE.",
  );
}

/** The signer that the options leave no doubt about; null when they name a folder of several keys, and the statement must choose. */
export function onlySigner(options: SignerOptions): Signer | null {
  const { keys, kid, signer } = options;
  if (keys !== undefined && kid === undefined && signer === undefined && folderKids(keys).length > 1) return null;
  return needSigner(options);
}

/**
 * The signer for a command to this cluster. Of a folder with several keys, while no --kid is given, the newest that the agent knows already:
 * in a rotation the old key goes on until the new one has arrived.
 */
export async function signerFor(store: Store, cluster: string, options: SignerOptions): Promise<Signer> {
  const { statements, accepted } = await store.read(async (sql) => ({
    statements: await readStatements(sql, cluster),
    accepted: (await readCluster(sql, cluster))?.trust_version ?? 0,
  }));
  return needSigner(signerOptions(statements, accepted, options));
}

/** The same of what was read already. `accepted`: version of the statement that the agent has. */
export function signerOptions(
  statements: readonly Statement[],
  accepted: number,
  options: SignerOptions,
): SignerOptions {
  const newest = statements.at(-1)?.claims;
  if (newest === undefined) return options;
  const known = statements.find((one) => one.version === accepted)?.claims ?? newest;
  return ofFolder(options, [kidsOf(newest).filter((kid) => kidsOf(known).includes(kid)), kidsOf(newest)]);
}

/** The signer for the statement after this one: of a folder with several keys one that stays, if any does. */
export function statementSigner(options: SignerOptions, newest: TrustClaims, dropped: readonly string[]): Signer {
  const kids = kidsOf(newest);
  return needSigner(ofFolder(options, [kids.filter((kid) => !dropped.includes(kid)), kids]));
}

function kidsOf(claims: TrustClaims): string[] {
  return claims.command_keys.map((key) => key.kid);
}

/** Of the first list that names a key of the folder, the last such key. */
function ofFolder(options: SignerOptions, wanted: readonly (readonly string[])[]): SignerOptions {
  if (options.keys === undefined || options.kid !== undefined || options.signer !== undefined) return options;
  const there = folderKids(options.keys);
  const kid = wanted.map((kids) => kids.filter((one) => there.includes(one)).at(-1)).find((one) => one !== undefined);
  return kid === undefined ? options : { ...options, kid };
}
