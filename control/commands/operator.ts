import { userInfo } from "node:os";
import { type Command, InvalidArgumentError } from "commander";
import { Words } from "../../agent/wire/names.ts";

/** Flags of what an operator decides: who decided, and why, are kept. */
export function withOperator(command: Command): Command {
  return command
    .option("--by <words>", "who says so", words, userInfo().username)
    .option("--why <words>", "why: kept with it", words, "(no reason given)");
}

function words(text: string): string {
  if (!Words.safeParse(text).success)
    throw new InvalidArgumentError("1 to 256 characters, none of them a control character.");
  return text;
}
