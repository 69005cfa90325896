import type { Command } from "commander";
import { DiskError, type Host } from "../host/host.ts";
import { readSwitch } from "../owner/switch.ts";
import { printable } from "../render.ts";
import { Complaint, DEFAULT_CONFIG, readConfig } from "./config.ts";

/** `suspend` and `resume`: the owner's switch, as the owner's own hands on this machine. Deleting `on` in any other way does the same. */
export function ownerCommands(program: Command, host: Host, print: (text: string) => void): void {
  program
    .command("suspend")
    .description("turn reeve off: every command is refused until `reeve resume`; what runs is left as it is")
    .option("--config <file>", "the agent's config", DEFAULT_CONFIG)
    .option("--why <text>", "the reason, which the vendor is told", "by the customer")
    .option("--json", "print JSON")
    .action((options: { config: string; why: string; json?: true }) => {
      const { config } = readConfig(host.disk, options.config);
      const { directory } = config.owner;
      change(`suspend ${config.cluster}`, directory, () => {
        host.disk.replace(`${directory}/suspended`, Buffer.from(`${options.why.split("\n")[0] ?? ""}\n`), 0o644);
        if (host.disk.exists(`${directory}/on`)) host.disk.remove(`${directory}/on`);
      });
      const now = readSwitch(host.disk, config.owner);
      if (now.on)
        throw new Complaint(`suspend ${config.cluster}`, `${directory}/on is still there`, `rm ${directory}/on`, 4);
      print(
        options.json
          ? `${JSON.stringify({ on: false, why: options.why })}\n`
          : `suspended: ${printable(options.why)}\n  The agent refuses every command from now on. Applications stay up.\n  To turn it on again: reeve resume\n`,
      );
    });
  program
    .command("resume")
    .description("turn reeve on: commands are judged by the policy again")
    .option("--config <file>", "the agent's config", DEFAULT_CONFIG)
    .option("--json", "print JSON")
    .action((options: { config: string; json?: true }) => {
      const { config } = readConfig(host.disk, options.config);
      const { directory } = config.owner;
      change(`resume ${config.cluster}`, directory, () => {
        host.disk.replace(`${directory}/on`, Buffer.from("on\n"), 0o644);
        if (host.disk.exists(`${directory}/suspended`)) host.disk.remove(`${directory}/suspended`);
      });
      const now = readSwitch(host.disk, config.owner);
      if (!now.on)
        throw new Complaint(
          `resume ${config.cluster}`,
          now.why,
          `The folder and the file must belong to uid ${config.owner.uid} or root, and nobody else may write them.`,
          4,
        );
      print(options.json ? `${JSON.stringify({ on: true })}\n` : "resumed: commands are judged by the policy again.\n");
    });
}

function change(cannot: string, directory: string, act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    if (error.code === "ENOENT")
      throw new Complaint(cannot, `there is no folder ${directory}`, "Compare owner.directory in the config.", 3);
    throw new Complaint(
      cannot,
      `${error.path} cannot be changed (${error.code})`,
      "Run it as the folder's owner: sudo reeve …",
      4,
    );
  }
}
