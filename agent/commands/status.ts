import type { Command } from "commander";
import { DiskError, type Host } from "../host/host.ts";
import { readSwitch } from "../owner/switch.ts";
import { printable } from "../render.ts";
import type { Status } from "../status.ts";
import { Complaint, DEFAULT_CONFIG, readConfig } from "./config.ts";

const MAX_STATUS_BYTES = 64 * 1024;

/** `status`: reads the file that the agent keeps; there is no socket. Exit 0 when ready, 1 when not, 8 when it cannot be told. */
export function statusCommand(
  program: Command,
  host: Host,
  alive: (pid: number) => boolean,
  print: (text: string) => void,
  exit: (code: number) => void,
): void {
  program
    .command("status")
    .description("show what the agent does: state, policy, contact, log")
    .option("--config <file>", "the agent's config", DEFAULT_CONFIG)
    .option("--json", "print JSON")
    .action((options: { config: string; json?: true }) => {
      const { config } = readConfig(host.disk, options.config);
      const path = `${config.runtime}/status.json`;
      const kept = readStatus(host, path);
      const running = alive(kept.pid);
      // The file says what the agent saw last; the switch is looked at now.
      const owner = readSwitch(host.disk, config.owner);
      const status = { ...kept, alive: running, switch: owner.on ? "on" : "off" };
      exit(running && kept.state === "ready" && owner.on ? 0 : 1);
      if (options.json) return print(`${JSON.stringify(status)}\n`);
      const lines: [string, string][] = [
        [
          "state",
          running ? `${kept.state}${kept.reason === "" ? "" : `: ${kept.reason}`}` : `not running (was ${kept.state})`,
        ],
        ["since", kept.since],
        ["cluster", `${kept.cluster}${kept.epoch === null ? "" : `, epoch ${kept.epoch}`}`],
        ["agent", kept.agent ?? "not enrolled"],
        ["switch", owner.on ? "on" : `off: ${owner.why}`],
        ["policy", kept.policy === null ? "none in force" : `revision ${kept.policy.revision}, ${kept.policy.digest}`],
        [
          "contact",
          kept.out_of_contact === null
            ? "yes"
            : `none since ${kept.out_of_contact.since}: ${kept.out_of_contact.reason}`,
        ],
        ["log", kept.log === null ? "none" : `${kept.log.size} entries, root ${kept.log.root}`],
        ["running", String(kept.running)],
        ["version", kept.version],
      ];
      for (const [name, value] of lines) print(`${name.padEnd(8)} ${printable(value)}\n`);
    });
}

function readStatus(host: Host, path: string): Status {
  try {
    return JSON.parse(new TextDecoder().decode(host.disk.read(path, MAX_STATUS_BYTES).bytes)) as Status;
  } catch (error) {
    if (!(error instanceof DiskError) && !(error instanceof SyntaxError)) throw error;
    const because =
      error instanceof DiskError && error.code === "ENOENT" ? "the agent has never run here" : `${path} cannot be read`;
    throw new Complaint("show the status", because, "systemctl status reeve; or start it: reeve run", 8);
  }
}
