import type { Command } from "commander";
import { readManifestFile } from "../manifest/file.ts";
import { holders, keepManifest } from "../manifest/inventory.ts";
import { holdersText } from "../manifest/text.ts";
import { clusterAt } from "../revisions/at.ts";
import { stateText } from "../revisions/text.ts";
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
      const rows = await withStore(options.dir, (store) => store.read((sql) => holders(sql, name, version ?? null)));
      out(options.json ? `${JSON.stringify({ holders: rows })}\n` : holdersText(rows));
      if (rows.length === 0) process.exitCode = 1;
    });
}

function addAt(manifest: Command): void {
  manifest
    .command("at")
    .description("What a cluster was at a time: its revision, manifest, groups, records. Exit 1 when nothing is known.")
    .argument("<time>", "such as 2026-11-24T09:00:00Z")
    .requiredOption("--cluster <name>", "the cluster")
    .requiredOption("--dir <folder>", "the control plane's folder")
    .option("--note", "print the manifest itself, as its signed file")
    .option("--json", "print JSON: all of that, and the manifest down to its libraries")
    .action(async (time: string, options: { dir: string; cluster: string; note?: boolean; json?: boolean }) => {
      const cluster = clusterName(options.cluster);
      const at = secondsOf(time);
      const found = await withStore(options.dir, (store) => store.read((sql) => clusterAt(sql, cluster, at)));
      const hint = `See \`reeve-control fleet history ${cluster}\`.`;
      if (found === null) throw new Complaint(1, `show ${cluster}`, `nothing of it was known at ${time}`, hint);
      if (!options.note) {
        const { newest, checksum, state, manifest } = found;
        out(
          options.json
            ? `${JSON.stringify({ revision: newest, checksum, state, manifest })}\n`
            : stateText(newest, checksum, state),
        );
        return;
      }
      if (found.note === null)
        throw new Complaint(1, `show the manifest of ${cluster}`, `none was known at ${time}`, hint);
      out(found.note);
    });
}

/** Unix seconds of an RFC 3339 time in UTC. */
function secondsOf(time: string): number {
  const seconds = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z$/.test(time) ? Date.parse(time) / 1000 : Number.NaN;
  if (Number.isSafeInteger(seconds)) return seconds;
  throw new Complaint(2, "read the time", `${JSON.stringify(time)} is none`, "Write it in UTC: 2026-11-24T09:00:00Z.");
}
