import type { Command } from "commander";
import { thumbprint } from "../../agent/wire/trust.ts";
import { folderKey, initKey } from "../keyFolder.ts";
import { readPublicKey } from "../publicKey.ts";
import { fleetTrustText, readFleetTrust, readTrust, trustText } from "../showTrust.ts";
import type { SignerOptions } from "../signer.ts";
import { clusterName, signFirstStatement } from "../statement.ts";
import { Complaint, printable } from "../terminal.ts";
import { addRotate } from "./rotate.ts";
import { needSigner, withSigner } from "./signing.ts";
import { out, withStore } from "./state.ts";

export function addKeys(top: Command): void {
  const keys = top.command("keys").description("Command keys and trust statements. `serve` never reads a command key.");
  addInit(keys);
  addThumbprint(keys);
  addTrust(keys);
  addRotate(keys);
  addShow(keys);
}

function addInit(keys: Command): void {
  keys
    .command("init")
    .description("Make a command key; prints the RFC 7638 thumbprint for the config's trust_sha256.")
    .requiredOption("--keys <folder>", "a folder of its own, which `serve` cannot read")
    .option("--kid <name>", "the key's name", `cmd-${new Date().toISOString().slice(0, 7)}`)
    .option("--json", "print JSON")
    .action(async (options: { keys: string; kid: string; json?: boolean }) => {
      const made = await initKey(options.keys, options.kid);
      if (options.json) return out(`${JSON.stringify(made)}\n`);
      process.stderr.write(
        `${printable(`command key ${made.kid} in ${made.file}; its thumbprint, for control_plane.trust_sha256:`)}\n`,
      );
      out(`${made.thumbprint}\n`);
    });
}

function addThumbprint(keys: Command): void {
  type Options = { signerKey?: string; keys?: string; kid?: string; json?: boolean };
  keys
    .command("thumbprint")
    .description("Print the RFC 7638 thumbprint of a public key, for a config's trust_sha256.")
    .option("--signer-key <file>", "the public key: a JWK, its x, PEM, or the line of `ssh-add -L`")
    .option("--keys <folder>", "or a key in the folder of `keys init`")
    .option("--kid <name>", "which key of the folder")
    .option("--json", "print JSON: kid, x and thumbprint")
    .action(async (options: Options) => {
      const cannot = "make a thumbprint";
      if ((options.signerKey === undefined) === (options.keys === undefined))
        throw new Complaint(2, cannot, "not exactly one key is named", "Give --signer-key FILE or --keys FOLDER.");
      const { kid, x } =
        options.keys === undefined
          ? readPublicKey(options.signerKey ?? "", cannot)
          : folderKey(options.keys, options.kid);
      const print = await thumbprint(x);
      out(options.json ? `${JSON.stringify({ kid, x, thumbprint: print })}\n` : `${print}\n`);
    });
}

function addTrust(keys: Command): void {
  withSigner(
    keys
      .command("trust")
      .description("Sign and store a cluster's first trust statement.")
      .requiredOption("--dir <folder>", "the control plane's folder")
      .requiredOption("--cluster <name>", "the cluster")
      .option("--json", "print JSON"),
  ).action(async (options: SignerOptions & { dir: string; cluster: string; json?: boolean }) => {
    const signer = needSigner(options);
    const cluster = clusterName(options.cluster);
    const signed = await withStore(options.dir, (store) => signFirstStatement(store, options.dir, cluster, signer));
    if (!signed)
      throw new Complaint(
        1,
        `sign the first statement of ${cluster}`,
        "it has one already",
        "The next one is signed by `reeve-control keys rotate`.",
      );
    out(
      options.json
        ? `${JSON.stringify({ cluster, version: 1, kid: signer.kid })}\n`
        : `trust statement 1 of ${cluster} is signed by ${signer.kid}\n`,
    );
  });
}

function addShow(keys: Command): void {
  keys
    .command("show")
    .description("A cluster's trust statements: what each names, and which one its agent has accepted.")
    .requiredOption("--dir <folder>", "the control plane's folder")
    .option("--cluster <name>", "the cluster; without it, all of them, a line each")
    .option("--json", "print JSON")
    .action(async (options: { dir: string; cluster?: string; json?: boolean }) => {
      const { cluster } = options;
      if (cluster === undefined) {
        const fleet = await withStore(options.dir, (store) => store.read(readFleetTrust));
        return out(options.json ? `${JSON.stringify({ clusters: fleet })}\n` : fleetTrustText(fleet));
      }
      const name = clusterName(cluster);
      const trust = await withStore(options.dir, (store) => store.read((sql) => readTrust(sql, name)));
      out(options.json ? `${JSON.stringify(trust)}\n` : trustText(trust));
    });
}
