import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { openSqlite } from "../sqlite.ts";
import { Complaint } from "../terminal.ts";
import { openWitnessKey, WITNESS_KEY_FILE, witnessKeyText } from "../witness/key.ts";
import { serveWitness, WITNESS_DB } from "../witness/serve.ts";
import { readWitness, witnessText } from "../witness/show.ts";
import { forgetLog, WITNESS_MIGRATIONS } from "../witness/state.ts";
import { out } from "./state.ts";

/** `witness`: what the customer runs, out of reach of the agent's machine and of the vendor. */
export function addWitness(top: Command): void {
  const witness = top
    .command("witness")
    .description(
      "A witness of agents' logs, to be run by the customer: it cosigns only what continues what it has seen.",
    );
  addServe(witness);
  addKey(witness);
  addShow(witness);
  addForget(witness);
}

function addServe(witness: Command): void {
  type Options = {
    dir: string;
    ca: string[];
    listen: string;
    name?: string;
    tlsCert?: string;
    tlsKey?: string;
    plain?: boolean;
  };
  witness
    .command("serve")
    .description("Serve c2sp.org/tlog-witness. Prints one JSON line when listening.")
    .requiredOption("--dir <folder>", "the witness's folder: its key and witness.db; made at the first start")
    .requiredOption("--ca <file...>", "the root CA of the control plane: who vouches for the logs' keys")
    .requiredOption("--listen <host:port>", "where agents reach it; port 0 takes a free one")
    .option("--name <name>", "the witness's name, set at the first start (default: one that its key gives)")
    .option("--tls-cert <file>", "a certificate chain to show, PEM; without it, one by a root of its own in DIR/tls")
    .option("--tls-key <file>", "its private key, PEM")
    .option("--plain", "no TLS: on loopback only, behind a server that has it")
    .action(async (options: Options) => {
      const serving = await serveWitness({
        dir: options.dir,
        ca: options.ca,
        listen: options.listen,
        name: options.name,
        tlsCert: options.tlsCert,
        tlsKey: options.tlsKey,
        plain: options.plain === true,
      });
      out(`${JSON.stringify(serving.ready)}\n`);
      await new Promise<void>((resolve) => {
        process.once("SIGTERM", resolve);
        process.once("SIGINT", resolve);
      });
      await serving.stop();
      process.exit(0);
    });
}

function addKey(witness: Command): void {
  witness
    .command("key")
    .description("Print the witness's verifier key, for a config's `witnesses` and for `audit verify`.")
    .requiredOption(
      "--dir <folder>",
      "the witness's folder; of a control plane DIR/ca, which holds its own witness key",
    )
    .option("--json", "print JSON")
    .action((options: { dir: string; json?: boolean }) => {
      needState(options.dir, WITNESS_KEY_FILE);
      const key = openWitnessKey(options.dir, undefined);
      const text = witnessKeyText(key);
      out(options.json === true ? `${JSON.stringify({ name: key.name, key: text })}\n` : `${text}\n`);
    });
}

function addShow(witness: Command): void {
  witness
    .command("show")
    .description("The logs that it follows, how far, and what it has refused. Exit 1 when something was refused.")
    .requiredOption("--dir <folder>", "the witness's folder")
    .option("--json", "print JSON")
    .action(async (options: { dir: string; json?: boolean }) => {
      needState(options.dir, WITNESS_DB);
      const store = await openSqlite(join(options.dir, WITNESS_DB), WITNESS_MIGRATIONS);
      try {
        const shown = await store.transaction(readWitness);
        out(options.json === true ? `${JSON.stringify(shown)}\n` : witnessText(shown));
        if (shown.refused.length > 0) process.exitCode = 1;
      } finally {
        store.close();
      }
    });
}

function addForget(witness: Command): void {
  witness
    .command("forget")
    .description(
      "Forget a log, with its keys and how far it was cosigned; the log that it ended goes on. Evidence stays. For a log that a stolen key began.",
    )
    .argument("<origin>", "the log, as `show` names it")
    .requiredOption("--dir <folder>", "the witness's folder")
    .action(async (origin: string, options: { dir: string }) => {
      needState(options.dir, WITNESS_DB);
      const store = await openSqlite(join(options.dir, WITNESS_DB), WITNESS_MIGRATIONS);
      try {
        if (!(await store.transaction((sql) => forgetLog(sql, origin))))
          throw new Complaint(
            3,
            `forget ${origin}`,
            "this witness does not know it",
            "Name one that `reeve-control witness show` lists.",
          );
        out(`forgotten: ${origin}\n`);
      } finally {
        store.close();
      }
    });
}

function needState(dir: string, file: string): void {
  if (existsSync(join(dir, file))) return;
  throw new Complaint(3, `use ${dir}`, "it holds no witness yet", "Start `reeve-control witness serve` on it once.");
}
