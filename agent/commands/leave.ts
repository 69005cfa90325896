import type { Command } from "commander";
import type { Host } from "../host/host.ts";
import { leave } from "../identity/leave.ts";
import { Complaint, DEFAULT_CONFIG, readConfig } from "./config.ts";
import { stateLock } from "./stateLock.ts";

/** `leave`: forgets the identity, so that another control plane can be joined. The log stays. */
export function leaveCommand(program: Command, host: Host, print: (text: string) => void): void {
  program
    .command("leave")
    .description("forget this machine's identity; the log stays; joining again needs a new token")
    .option("--config <file>", "the agent's config", DEFAULT_CONFIG)
    .action((options: { config: string }) => {
      const { config } = readConfig(host.disk, options.config);
      const cannot = `leave ${config.cluster}`;
      const folder = `${config.state}/identity`;
      if (!host.disk.exists(folder))
        throw new Complaint(cannot, "this machine never joined", "Nothing is to be done.", 6);
      // A running agent would go on with an identity that is gone.
      const lock = stateLock(host.disk, config.state);
      try {
        leave(host, folder);
      } finally {
        lock.free();
      }
      print("left: the identity is gone, the log is kept. To join again, place a new token and start the agent.\n");
    });
}
