import "reflect-metadata";
import { Command, CommanderError } from "commander";
import { askText } from "../providers/ask.ts";
import type { Provider, Setting } from "../providers/provider.ts";
import { approveCommand } from "./commands/approve.ts";
import { auditCommand } from "./commands/audit.ts";
import { completionCommand } from "./commands/completion.ts";
import { Complaint } from "./commands/config.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { leaveCommand } from "./commands/leave.ts";
import { ownerCommands } from "./commands/owner.ts";
import { policyCommand } from "./commands/policy/policy.ts";
import { runCommand } from "./commands/run.ts";
import { statusCommand } from "./commands/status.ts";
import type { Config } from "./config.ts";
import { egressOf } from "./egress.ts";
import { dialer } from "./host/dial.ts";
import { DiskError } from "./host/host.ts";
import { realMachine } from "./host/machine.ts";
import { realNetwork } from "./host/network.ts";
import { realHost } from "./host/real.ts";
import { realSurvey } from "./host/survey.ts";
import { artifactsDirectory } from "./providerConfig/artifacts.ts";
import { complaint } from "./render.ts";
import type { AskWitness } from "./witness/follow.ts";

declare const REEVE_VERSION: string | undefined;
const VERSION = typeof REEVE_VERSION === "string" ? REEVE_VERSION : "0.0.0-source";

const EXIT_USAGE = 2;
const EXIT_BROKEN = 70;
const MAX_CA_BYTES = 1024 * 1024;

/** Every command, with all that it needs: the only file that knows every part. Nothing is done before it is told to parse. */
export function programOf(): Command {
  const host = realHost();
  const machine = realMachine();
  const program = new Command("reeve")
    .description("carries out a vendor's signed commands in your account, as far as your policy allows")
    .exitOverride()
    .showHelpAfterError("(see reeve --help)")
    .addHelpText(
      "after",
      "\nExit codes: 0 done · 1 the answer is no · 2 usage · 3 config or policy · 4 permission · 5 unreachable · 6 identity · 7 log · 8 not known yet · 70 broken",
    );
  const net = (config: Config, uid: number) => realNetwork(egressOf(host.disk, config.egress, uid));
  const provider = async (config: Config, uid: number) => {
    const dial = dialer(egressOf(host.disk, config.egress, uid));
    const setting = { host, version: VERSION, dial, owner: config.owner };
    const cloud = await cloudOf(setting, config);
    if (Object.keys(config.acme).length === 0) return cloud;
    const { withAcme } = await import("../providers/acme/acme.ts");
    return withAcme({ ...setting, uid }, config.acme, cloud, `${config.state}/acme`);
  };
  const cloudOf = async (setting: Setting, config: Config): Promise<Provider> => {
    if (config.aws !== undefined) {
      const { awsProvider } = await import("../providers/aws/aws.ts");
      return awsProvider(setting, config.aws);
    }
    if (config.gcp !== undefined) {
      const { gcpProvider } = await import("../providers/gcp/gcp.ts");
      return gcpProvider(setting, config.gcp);
    }
    if (config.azure !== undefined) {
      const { azureProvider } = await import("../providers/azure/azure.ts");
      return azureProvider(setting, config.azure, `${config.state}/azure`);
    }
    const { localProvider } = await import("../providers/local/local.ts");
    return localProvider(setting, config.local, `${config.state}/local`, artifactsDirectory(config.artifacts));
  };
  const askWitness = (config: Config, uid: number): AskWitness => {
    const dial = dialer(egressOf(host.disk, config.egress, uid));
    return async ({ url, ca }, path, body) => {
      try {
        const roots = ca === undefined ? null : [Buffer.from(host.disk.read(ca, MAX_CA_BYTES).bytes).toString("utf8")];
        return await askText(dial, new URL(`${url}${path}`), roots, body);
      } catch (error) {
        if (!(error instanceof DiskError)) throw error;
        return { unreachable: `ca: ${error.code}` };
      }
    };
  };
  runCommand(program, { host, machine, net, version: VERSION, exit, provider, askWitness });
  const survey = realSurvey();
  doctorCommand(program, { host, machine, survey, net, version: VERSION, provider }, exit);
  statusCommand(program, { host, machine, exit });
  ownerCommands(program, host, machine.stdout);
  approveCommand(program, { host, machine, exit });
  leaveCommand(program, { host, machine, survey }, machine.stdout);
  program
    .command("version")
    .description("print the version")
    .option("--json", "print JSON")
    .action((options: { json?: true }) =>
      machine.stdout(
        options.json ? `${JSON.stringify({ version: VERSION, runtime: machine.runtime })}\n` : `reeve ${VERSION}\n`,
      ),
    );
  program.addCommand(auditCommand(machine, provider));
  program.addCommand(policyCommand());
  completionCommand(program, machine.stdout);
  for (const command of everyCommand(program)) command.exitOverride();
  return program;
}

function exit(code: number): void {
  process.exitCode = code;
}

/** Carries out the command line, and ends the process. */
export async function main(): Promise<never> {
  try {
    await programOf().parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      exit(error.exitCode === 0 ? 0 : EXIT_USAGE);
    } else if (error instanceof Complaint) {
      realMachine().stderr(complaint(error.cannot, error.because, error.hint));
      exit(error.exit);
    } else if (error instanceof DiskError) {
      realMachine().stderr(
        complaint(`use ${error.path}`, error.code, "See that the agent's user may do so, and that the disk is well."),
      );
      exit(error.code === "EACCES" || error.code === "EPERM" ? 4 : 7);
    } else {
      // A broken invariant: say what, and end at once, whatever still runs.
      realMachine().stderr(
        `error: reeve broke: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
      );
      process.exit(EXIT_BROKEN);
    }
  }
  process.exit();
}

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

// As sources, by `bun agent/main.ts`; the executable begins in start.ts.
if (import.meta.main) void main();
