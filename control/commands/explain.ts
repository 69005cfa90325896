import { CommanderError } from "commander";
import { Complaint, complaintText, printable } from "../terminal.ts";

const WRONG_PATH = { hint: "See that the path is right.", exit: 4 };
const NOT_PERMITTED = { hint: "See who owns the folder, and that this user may read and write it.", exit: 4 };
const FULL = { hint: "Make room on that disk, then do it again.", exit: 3 };
/** By the code of the operating system's error. */
const TROUBLES: Readonly<Record<string, { readonly hint: string; readonly exit: number }>> = {
  ENOENT: WRONG_PATH,
  ENOTDIR: WRONG_PATH,
  EISDIR: WRONG_PATH,
  EEXIST: WRONG_PATH,
  EACCES: NOT_PERMITTED,
  EPERM: NOT_PERMITTED,
  EROFS: NOT_PERMITTED,
  ENOSPC: FULL,
  EDQUOT: FULL,
};

/** Says what went wrong and gives the exit code. A stack is for our own mistakes, and never shown here. */
export function explain(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode !== 0)
      process.stderr.write("hint: `reeve-control help` names the commands; each takes --help.\n");
    return error.exitCode === 0 ? 0 : 2;
  }
  if (error instanceof Complaint) {
    process.stderr.write(complaintText(error));
    return error.exit;
  }
  const code = String((error as { code?: unknown }).code ?? "");
  const words = printable(error instanceof Error ? error.message : String(error));
  const trouble = TROUBLES[code];
  if (trouble !== undefined) {
    process.stderr.write(`error: Cannot go on: ${words}.\nhint: ${trouble.hint}\n`);
    return trouble.exit;
  }
  if (code.startsWith("SQLITE_")) {
    process.stderr.write(
      `error: Cannot use the state: ${words}.\nhint: See that DIR/state.db is whole, that its disk has room, and that this user may write it.\n`,
    );
    return 3;
  }
  process.stderr.write(`error: Cannot go on: ${words}.\nhint: This is a mistake of ours; please report it.\n`);
  return 70;
}
