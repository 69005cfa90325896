import type { Command } from "commander";
import { readManifestFile } from "../manifest/file.ts";
import { history, holders, keepManifest, noteOf, revisionAt } from "../manifest/inventory.ts";
import { historyText, holdersText } from "../manifest/text.ts";
import { clusterName } from "../statement.ts";
import { Complaint } from "../terminal.ts";
import { withOperator } from "./operator.ts";
import { out, withStore } from "./state.ts";

/** What the control plane keeps of manifests, and is asked. */
export function addKept(manifest: Command): void {
  addImport(manifest);
  addHolds(manifest);
  addAt(manifest);
}

function addImport(manifest: Command): void {
  withOperator(
    manifest
      .command("import")
      .description("Make a manifest its cluster's newest, in the control plane.")
      .argument("<file>", "a manifest")
      .requiredOption("--dir <folder>", "the control plane's folder"),
  ).action(async (file: string, options: { dir: string; by: string; why: string }) => {
    const read = readManifestFile(file);
    const { cluster } = read.manifest.parameters;
    const kept = await withStore(options.dir, (store) =>
      store.transaction((sql) => keepManifest(sql, read, options.by, options.why)),
    );
    out(kept ? `${cluster} has ${read.digest}\n` : `${cluster} had it already\n`);
  });
}

function addHolds(manifest: Command): void {
  manifest
    .command("holds")
    .description(
      "Which clusters hold a package: by its name, or what the name begins with and *; and its version. Exit 1 when none does.",
    )
    .argument("<name>", "such as libssl3, or libssl*")
    .argument("[version]", "such as 3.0.11 (also a distribution's 3.0.11-1~deb12u2), or 3.0.*")
    .requiredOption("--dir <folder>", "the control plane's folder")
    .option("--json", "print JSON")
    .action(async (name: string, version: string | undefined, options: { dir: string; json?: boolean }) => {
      const rows = await withStore(options.dir, (store) =>
        store.transaction((sql) => holders(sql, name, version ?? null)),
      );
      out(options.json ? `${JSON.stringify({ holders: rows })}\n` : holdersText(rows));
      if (rows.length === 0) process.exitCode = 1;
    });
}

function addAt(manifest: Command): void {
  manifest
    .command("at")
    .description("The manifest that a cluster had at a time, as its file. Exit 1 when it had none.")
    .argument("<time>", "such as 2026-11-24T09:00:00Z")
    .requiredOption("--cluster <name>", "the cluster")
    .requiredOption("--dir <folder>", "the control plane's folder")
    .action(async (time: string, options: { dir: string; cluster: string }) => {
      const cluster = clusterName(options.cluster);
      const at = secondsOf(time);
      const note = await withStore(options.dir, (store) =>
        store.transaction(async (sql) => {
          const revision = await revisionAt(sql, cluster, at);
          return revision === null ? null : noteOf(sql, revision.digest);
        }),
      );
      if (note === null)
        throw new Complaint(
          1,
          `show the manifest of ${cluster}`,
          `it had none at ${time}`,
          "See `reeve-control manifest history`.",
        );
      out(note);
    });
  manifest
    .command("history")
    .description("The line of a cluster's manifests, newest first: since when, by whom, why.")
    .argument("<cluster>", "the cluster")
    .requiredOption("--dir <folder>", "the control plane's folder")
    .option("--json", "print JSON")
    .action(async (name: string, options: { dir: string; json?: boolean }) => {
      const rows = await withStore(options.dir, (store) => store.transaction((sql) => history(sql, clusterName(name))));
      out(options.json ? `${JSON.stringify({ revisions: rows })}\n` : historyText(rows));
    });
}

/** Unix seconds of an RFC 3339 time in UTC. */
function secondsOf(time: string): number {
  const seconds = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z$/.test(time) ? Date.parse(time) / 1000 : Number.NaN;
  if (Number.isSafeInteger(seconds)) return seconds;
  throw new Complaint(2, "read the time", `${JSON.stringify(time)} is none`, "Write it in UTC: 2026-11-24T09:00:00Z.");
}
