import { Command } from "commander";
import { policyJsonSchema } from "../../../policy/schema.ts";
import { realMachine } from "../../host/machine.ts";
import { realHost } from "../../host/real.ts";
import { checkCommand } from "./check.ts";
import { explainCommand } from "./explain.ts";
import { newCommand } from "./new.ts";
import { reviewCommand } from "./review.ts";

/** `policy`: what the vendor may do, before it is in force and after. */
export function policyCommand(): Command {
  const [host, machine] = [realHost(), realMachine()];
  const command = new Command("policy").description(
    "write, check, compare and explain the policy file: what the vendor may do",
  );
  newCommand(command, host);
  checkCommand(command, {
    host,
    interactive: process.stdin.isTTY === true,
    confirm: (question) => machine.confirm(question),
  });
  reviewCommand(command);
  explainCommand(command, host);
  command
    .command("schema")
    .description("print the file's JSON Schema, for editors")
    .action(() => {
      process.stdout.write(`${JSON.stringify(policyJsonSchema(), null, 2)}\n`);
    });
  return command;
}
