import type { Command } from "commander";
import type { Config } from "../config.ts";
import { DiskError, type Host } from "../host/host.ts";
import { directoryFolder, type OwnersDirectory } from "../owner/folder.ts";
import { ownersDirectory } from "../owner/place.ts";
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
      const owner = ownersOwn(`suspend ${config.cluster}`, config, "delete OBJECT, in any console");
      const { directory } = owner;
      change(`suspend ${config.cluster}`, directory, () => {
        host.disk.replace(`${directory}/suspended`, Buffer.from(`${options.why.split("\n")[0] ?? ""}\n`), 0o644);
        if (host.disk.exists(`${directory}/on`)) host.disk.remove(`${directory}/on`);
      });
      const now = readSwitch(directoryFolder(host.disk, owner));
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
      const owner = ownersOwn(`resume ${config.cluster}`, config, "put OBJECT there, with any bytes");
      const { directory } = owner;
      change(`resume ${config.cluster}`, directory, () => {
        host.disk.replace(`${directory}/on`, Buffer.from("on\n"), 0o644);
        if (host.disk.exists(`${directory}/suspended`)) host.disk.remove(`${directory}/suspended`);
      });
      const now = readSwitch(directoryFolder(host.disk, owner));
      if (!now.on)
        throw new Complaint(
          `resume ${config.cluster}`,
          now.why,
          `The folder and the file must belong to uid ${owner.uid} or root, and nobody else may write them.`,
          4,
        );
      print(options.json ? `${JSON.stringify({ on: true })}\n` : "resumed: commands are judged by the policy again.\n");
    });
}

/** The owner's folder of this machine. A bucket is read by the agent, and changed by nobody from here. */
function ownersOwn(cannot: string, config: Config, how: string): OwnersDirectory {
  const directory = ownersDirectory(config);
  if (directory !== null) return directory;
  const { bucket } = config.owner as { bucket: string };
  throw new Complaint(
    cannot,
    `the owner's folder is ${bucket}, and this machine may only read it`,
    `With your own rights: ${how.replace("OBJECT", `${bucket}/owner/on`)}.`,
    4,
  );
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
