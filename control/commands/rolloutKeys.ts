import type { Command } from "commander";
import type { Keys } from "../rollout/sign.ts";
import type { Signer, SignerOptions } from "../signer.ts";
import type { Statement } from "../statement.ts";
import { needSigner, signerOptions, withSigner } from "./signing.ts";

/** The flags of both keys: of commands, and of releases, which are the same ones unless they are given apart. */
export type KeyFlags = SignerOptions & {
  releaseKeys?: string;
  releaseKid?: string;
  releaseSigner?: string;
  releaseSignerKey?: string;
};

export function withKeys(command: Command): Command {
  return withSigner(command)
    .option("--release-keys <folder>", "the release key's folder, where it is another one than the command key's")
    .option("--release-kid <name>", "which key of the folder is the release key")
    .option("--release-signer <command>", "a program that signs releases, as --signer")
    .option("--release-signer-key <file>", "its public key, as --signer-key");
}

/** The keys, opened once. Throws a Complaint for what cannot be used. */
export function openKeys(options: KeyFlags): Keys {
  const opened = new Map<string, Signer>();
  const release = openRelease(options);
  return {
    release,
    command(statements: readonly Statement[], accepted: number): Signer {
      const chosen = signerOptions(statements, accepted, options);
      const name = `${chosen.kid}`;
      const signer = opened.get(name) ?? needSigner(chosen);
      opened.set(name, signer);
      return signer;
    },
  };
}

function openRelease(options: KeyFlags): Signer {
  const { releaseKeys, releaseKid, releaseSigner, releaseSignerKey } = options;
  const own = releaseKeys !== undefined || releaseSigner !== undefined;
  const folder = own ? releaseKeys : options.keys;
  return needSigner({
    keys: folder,
    kid: releaseKid ?? (own ? undefined : options.kid),
    signer: own ? releaseSigner : options.signer,
    signerKey: own ? releaseSignerKey : options.signerKey,
  });
}
