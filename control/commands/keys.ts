import type { Command } from "commander";
import { initKey, type SignerOptions } from "../signer.ts";
import { clusterName, signFirstStatement } from "../statement.ts";
import { Complaint, printable } from "../terminal.ts";
import { needSigner, withSigner } from "./signing.ts";
import { out, withStore } from "./state.ts";

export function addKeys(top: Command): void {
  const keys = top.command("keys").description("Command keys and trust statements. `serve` never reads a command key.");
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
    const signed = await withStore(options.dir, (store) =>
      store.transaction((sql) => signFirstStatement(sql, options.dir, cluster, signer)),
    );
    if (!signed)
      throw new Complaint(1, `sign the first statement of ${cluster}`, "it has one already", "Nothing is to be done.");
    out(
      options.json
        ? `${JSON.stringify({ cluster, version: 1, kid: signer.kid })}\n`
        : `trust statement 1 of ${cluster} is signed by ${signer.kid}\n`,
    );
  });
}
