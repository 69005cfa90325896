import type { Command } from "commander";
import { revisionsOf } from "../revisions/read.ts";
import { historyText } from "../revisions/text.ts";
import { clusterName } from "../statement.ts";
import { out, withStore } from "./state.ts";

export function addHistory(fleet: Command): void {
  fleet
    .command("history")
    .description(
      "A cluster's revisions, newest first: each change, since when, by whom, why, and where the log says so.",
    )
    .argument("<cluster>", "the cluster")
    .action(async (name: string) => {
      const options: { dir: string; json?: boolean } = fleet.opts();
      const cluster = clusterName(name);
      const rows = await withStore(options.dir, (store) => store.read((sql) => revisionsOf(sql, cluster)));
      out(options.json ? `${JSON.stringify({ revisions: rows })}\n` : historyText(rows));
    });
}
