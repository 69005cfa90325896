import { Command } from "commander";
import { completionCommand } from "../agent/commands/completion.ts";
import { addAdmit } from "./commands/admit.ts";
import { addCa } from "./commands/ca.ts";
import { addCancel } from "./commands/cancel.ts";
import { explain } from "./commands/explain.ts";
import { addFleet } from "./commands/fleet.ts";
import { addKeys } from "./commands/keys.ts";
import { addManifest } from "./commands/manifest.ts";
import { addSend } from "./commands/send.ts";
import { addServe } from "./commands/serve.ts";
import { out } from "./commands/state.ts";
import { addToken } from "./commands/token.ts";
import { addUnfence } from "./commands/unfence.ts";
import { addUserdata } from "./commands/userdata.ts";
import { addWitness } from "./commands/witness.ts";

const VERSION = "0.1.0";

/** Every command of the control plane. Nothing is done before it is told to parse. */
export function programOf(): Command {
  const top = new Command("reeve-control")
    .description(
      "The reference control plane of reeve: joins agents, sends them signed commands, shows what became of them.",
    )
    .version(VERSION)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, "error: Cannot read the command line: ")),
    })
    .addHelpText("after", EXITS);
  addServe(top);
  addKeys(top);
  addCa(top);
  addToken(top);
  addUserdata(top);
  addAdmit(top);
  addSend(top);
  addCancel(top);
  addFleet(top);
  addUnfence(top);
  addWitness(top);
  addManifest(top);
  completionCommand(top, out);
  for (const command of everyCommand(top)) command.exitOverride().copyInheritedSettings(top);
  // Of `manifest create` --version is the release's; ours stands before any command's name.
  top.enablePositionalOptions();
  return top;
}

const EXITS = `
Exit codes: 0 done or yes; 1 the answer is no; 2 usage; 3 state unreadable or invalid; 4 ownership or permission;
5 cannot listen or reach; 6 identity; 8 not known yet; 70 our own mistake.`;

function everyCommand(of: Command): Command[] {
  return of.commands.flatMap((command) => [command, ...everyCommand(command)]);
}

if (import.meta.main) {
  process.exitCode = 0;
  try {
    await programOf().parseAsync(process.argv);
  } catch (error) {
    process.exitCode = explain(error);
  }
}
