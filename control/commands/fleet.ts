import { type Command, InvalidArgumentError } from "commander";
import { commandsText, fleetText, readCommands, readFleet } from "../fleet.ts";
import { receiptOf } from "../receipt.ts";
import { resultOf } from "../show.ts";
import { clusterName } from "../statement.ts";
import { addAlarms } from "./alarms.ts";
import { addHistory } from "./history.ts";
import { addPlan } from "./plan.ts";
import { out, withStore } from "./state.ts";

export function addFleet(top: Command): void {
  const fleet = top
    .command("fleet")
    .description("Clusters with their state, epoch, last poll, open commands and alarms.")
    .requiredOption("--dir <folder>", "the control plane's folder")
    .option("--json", "print JSON")
    .action(async (options: { dir: string; json?: boolean }) => {
      const rows = await withStore(options.dir, (store) => store.read(readFleet));
      out(options.json ? `${JSON.stringify({ clusters: rows })}\n` : fleetText(rows));
    });
  addAlarms(fleet);
  fleet
    .command("commands")
    .description("A cluster's commands, newest first.")
    .requiredOption("--cluster <name>", "the cluster")
    .action(async (own: { cluster: string }) => {
      const options: { dir: string; json?: boolean } = fleet.opts();
      const cluster = clusterName(own.cluster);
      const rows = await withStore(options.dir, (store) => store.read((sql) => readCommands(sql, cluster)));
      out(options.json ? `${JSON.stringify({ commands: rows.map((row) => resultOf(row)) })}\n` : commandsText(rows));
    });
  fleet
    .command("receipt")
    .description("The receipt of one entry, as a proof (c2sp.org/tlog-proof): `reeve audit verify --proof` checks it.")
    .argument("<index>", "the entry")
    .requiredOption("--cluster <name>", "the cluster")
    .option("--epoch <n>", "of this epoch's log (default: of the one that acts)", wholeNumber)
    .action(async (index: string, own: { cluster: string; epoch?: number }) => {
      const options: { dir: string } = fleet.opts();
      const cluster = clusterName(own.cluster);
      const at = wholeNumber(index);
      out(await withStore(options.dir, (store) => store.read((sql) => receiptOf(sql, cluster, own.epoch ?? null, at))));
    });
  addHistory(fleet);
  addPlan(fleet);
}

function wholeNumber(text: string): number {
  if (!/^(?:0|[1-9]\d{0,14})$/.test(text)) throw new InvalidArgumentError("A whole number.");
  return Number(text);
}
