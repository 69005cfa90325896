import { CommanderError } from "commander";
import { Complaint, complaintText, printable } from "../terminal.ts";

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
  if (/^(?:EACCES|EPERM|EROFS|ENOENT|ENOTDIR|EISDIR)$/.test(code)) {
    const hint = /^(?:ENOENT|ENOTDIR|EISDIR)$/.test(code)
      ? "See that the path is right."
      : "See who owns the folder, and that this user may read and write it.";
    process.stderr.write(`error: Cannot go on: ${words}.\nhint: ${hint}\n`);
    return 4;
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
