import type { Command } from "commander";
import { leave } from "../identity/leave.ts";
import { asOwnerOf, type Rights } from "./asOwner.ts";
import { Complaint, DEFAULT_CONFIG, readConfig } from "./config.ts";
import { stateLock } from "./stateLock.ts";

/** `leave`: forgets the identity, so that another control plane can be joined. The log stays. */
export function leaveCommand(program: Command, rights: Rights, print: (text: string) => void): void {
  program
    .command("leave")
    .description("forget this machine's identity; the log stays; joining again needs a new token")
    .option("--config <file>", "the agent's config", DEFAULT_CONFIG)
    .action((options: { config: string }) => {
      const { host } = rights;
      const { config } = readConfig(host.disk, options.config);
      const cannot = `leave ${config.cluster}`;
      const folder = `${config.state}/identity`;
      const never = (): Complaint => new Complaint(cannot, "this machine never joined", "Nothing is to be done.", 6);
      if (!host.disk.exists(config.state)) throw never();
      asOwnerOf(rights, config.state, cannot, () => {
        if (!host.disk.exists(folder)) throw never();
        if (host.disk.stat(folder).kind !== "directory")
          throw new Complaint(
            cannot,
            `${folder} is not a folder`,
            "Whoever put it there wants something else removed.",
            4,
          );
        // A running agent would go on with an identity that is gone.
        const lock = stateLock(host.disk, config.state);
        try {
          leave(host, folder);
        } finally {
          lock.free();
        }
      });
      print("left: the identity is gone, the log is kept. To join again, place a new token and start the agent.\n");
    });
}
