import { type Command, InvalidArgumentError } from "commander";
import { unfence } from "../epoch.ts";
import { clusterName } from "../statement.ts";
import { withOperator } from "./operator.ts";
import { out, withStore } from "./state.ts";

type Options = { dir: string; cluster: string; epoch: number; by: string; why: string; json?: boolean };

export function addUnfence(top: Command): void {
  withOperator(
    top
      .command("unfence")
      .description(
        "Say that the agent of this epoch acts again, and fence the one that acts now: for an enrolment that should not have been. " +
          "The agent's owner must say so too, if the agent has heard that it was fenced.",
      )
      .requiredOption("--dir <folder>", "the control plane's folder")
      .requiredOption("--cluster <name>", "the cluster")
      .requiredOption("--epoch <number>", "the epoch that is to act", epochNumber)
      .option("--json", "print JSON"),
  ).action(async (options: Options) => {
    const cluster = clusterName(options.cluster);
    const { by, why } = options;
    const done = await withStore(options.dir, (store) => unfence(store, cluster, options.epoch, by, why));
    const other = done.fenced === done.epoch ? "" : ` epoch ${done.fenced} is fenced, and`;
    const words = `epoch ${done.epoch} of ${done.cluster} acts;${other} what was in hand is unknown\n`;
    out(options.json ? `${JSON.stringify(done)}\n` : words);
  });
}

function epochNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("a whole number, 1 or more.");
  return Number(text);
}
