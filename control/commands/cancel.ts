import type { Command } from "commander";
import { cancel } from "../send.ts";
import { out, withStore } from "./state.ts";

export function addCancel(top: Command): void {
  top
    .command("cancel")
    .description("Take a command back, unless its intent is on record.")
    .requiredOption("--dir <folder>", "the control plane's folder")
    .option("--json", "print JSON")
    .argument("<id>", "the command's id")
    .action(async (id: string, options: { dir: string; json?: boolean }) => {
      const state = await withStore(options.dir, (store) => cancel(store, id));
      const words =
        state === "cancelled"
          ? "cancelled: it had not been handed out"
          : "asked the agent to stop it, unless it has begun";
      out(options.json ? `${JSON.stringify({ command: id, state })}\n` : `${words}\n`);
    });
}
