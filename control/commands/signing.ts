import type { Command } from "commander";
import { openSigner, type Signer, type SignerOptions } from "../signer.ts";
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
    .option("--signer-key <file>", "the signer's public key: a JWK, or its x in base64url");
}

export function needSigner(options: SignerOptions): Signer {
  const signer = openSigner(options);
  if (signer === null)
    throw new Complaint(
      2,
      "sign",
      "no command key is named",
      "Give --keys FOLDER, or --signer COMMAND with --signer-key FILE.",
    );
  return signer;
}
