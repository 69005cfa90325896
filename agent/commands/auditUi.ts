import { Command, InvalidArgumentError } from "commander";
import { parseCosigner } from "../audit/cosignature.ts";
import type { Config } from "../config.ts";
import type { Machine } from "../host/machine.ts";
import { realHost } from "../host/real.ts";
import { Complaint, DEFAULT_CONFIG } from "./config.ts";
import { readCa } from "./readCa.ts";
import { beginning, folderOf, type Where } from "./readLog.ts";

type Options = Where & {
  readonly ca?: string;
  readonly policy: readonly string[];
  readonly witness: readonly string[];
  readonly controlWitness: readonly string[];
  readonly port: number;
};
const CANNOT = "show the log in a browser";
const UNREACHABLE = 5;

/** `audit ui`: a page on loopback that shows the log, checks it in the browser and changes nothing. It serves until it is interrupted. */
export function uiCommand(machine: Machine): Command {
  return new Command("ui")
    .description(
      "show the log in a browser on this machine: what was asked, by whom, what became of it, and what was used of each rule",
    )
    .option("--config <file>", "the agent's config, which says where log and policy are", DEFAULT_CONFIG)
    .option("--log <folder>", "the log's folder, instead of the config's")
    .option("--ca <file>", "the vendor's root CA as PEM, from elsewhere than this machine")
    .option(
      "--policy <file...>",
      "policy files: older ones that the log names; with --log, or a bucket, first the one in force",
      [],
    )
    .option(
      "--witness <key>",
      "a witness of the owner's choice besides the config's, name+id+key; may be given again",
      witness,
      [],
    )
    .option("--control-witness <key>", "the control plane's own witness; may be given again", witness, [])
    .option("--port <number>", "where to listen on 127.0.0.1, instead of a port that is free", portOf, 0)
    .addHelpText(
      "after",
      "\nThe address that is printed is good for one browser tab. From another computer: ssh -L PORT:127.0.0.1:PORT, with the same port on both sides.",
    )
    .action((options: Options) => showUi(options, machine));
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^[1-9]\d{0,4}$/.test(text) && port < 65_536) return port;
  throw new InvalidArgumentError("a port, 1 to 65535.");
}

function witness(text: string, before: readonly string[]): string[] {
  if (parseCosigner(text) === null)
    throw new InvalidArgumentError("a witness's verifier key: NAME+ID+KEY, of type 0x04.");
  return [...before, text];
}

async function showUi(options: Options, machine: Machine): Promise<void> {
  const { disk, random } = realHost();
  const { folder, config } = folderOf(disk, options);
  // Complains when there is none.
  beginning(disk, folder);
  const configured: readonly { readonly key: string }[] = config?.witnesses ?? [];
  const ca = options.ca === undefined ? null : readCa(disk, options.ca, CANNOT);
  const { inForce, older } = policyFiles(config, options.policy);
  // Only here: whoever runs the agent evaluates nothing of a server.
  const { uiApp } = await import("../ui/app.ts");
  const { readPolicies } = await import("../ui/policies.ts");
  const { newSession } = await import("../ui/session.ts");
  const { listenOnLoopback } = await import("../host/loopback.ts");
  const session = newSession(random);
  let port = 0;
  const app = uiApp({
    disk,
    folder,
    session,
    ca,
    witnesses: [
      ...[...configured.map(({ key }) => key), ...options.witness].map((key) => ({ key, of: "owner" as const })),
      ...options.controlWitness.map((key) => ({ key, of: "control-plane" as const })),
    ],
    policies: () => readPolicies(disk, inForce, older),
    port: () => port,
  });
  const server = listening(() => listenOnLoopback((request) => app.fetch(request), options.port));
  port = server.port;
  machine.stdout(`http://127.0.0.1:${port}/#token=${session.token}\n`);
  machine.stderr("Open it once, in a browser on this machine. Interrupt to end.\n");
  await new Promise<void>((resolve) => machine.onTerminate(resolve));
  await server.stop();
}

/** The policy in force lies in the owner's folder; where that is a bucket, or only a log is named, the first one that was named is it. */
function policyFiles(
  config: Config | null,
  named: readonly string[],
): { readonly inForce: string | null; readonly older: readonly string[] } {
  if (config !== null && "directory" in config.owner)
    return { inForce: `${config.owner.directory}/policy.yaml`, older: named };
  const [first = null, ...older] = named;
  return { inForce: first, older };
}

function listening<T>(listen: () => T): T {
  try {
    return listen();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EADDRINUSE" && code !== "EACCES") throw error;
    throw new Complaint(
      CANNOT,
      `the port cannot be listened on (${code})`,
      "Leave --port out, or name another.",
      UNREACHABLE,
    );
  }
}
