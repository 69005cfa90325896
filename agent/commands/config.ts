import { type Config, parseConfig } from "../config.ts";
import { type Disk, DiskError } from "../host/host.ts";
import { MAX_CONFIG_BYTES } from "../limits.ts";

export const DEFAULT_CONFIG = "/etc/reeve/reeve.yaml";

/** A command's way out: what is wrong, what to do, and the exit code of NAMES. */
export class Complaint extends Error {
  constructor(
    readonly cannot: string,
    readonly because: string,
    readonly hint: string,
    readonly exit: number,
  ) {
    super(`Cannot ${cannot}: ${because}.`);
    this.name = "Complaint";
  }
}

/** Reads the config or complains: exit 3 when it cannot be read or is invalid, 4 when others may write it. */
export function readConfig(disk: Disk, path: string): { config: Config; bytes: Uint8Array } {
  const cannot = `read the config ${path}`;
  let file: ReturnType<Disk["read"]>;
  try {
    file = disk.read(path, MAX_CONFIG_BYTES);
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    const hint = error.code === "ENOENT" ? "Write it, or name another with --config FILE." : `ls -l ${path}`;
    throw new Complaint(
      cannot,
      error.code === "ENOENT" ? "there is no such file" : `it cannot be opened (${error.code})`,
      hint,
      error.code === "EACCES" ? 4 : 3,
    );
  }
  if (file.stat.kind === "directory")
    throw new Complaint(cannot, "it is a folder", "Name a file with --config FILE.", 3);
  if ((file.stat.mode & 0o022) !== 0) throw new Complaint(cannot, "others may write it", `chmod go-w ${path}`, 4);
  const text = decode(file.bytes);
  if (text === null) throw new Complaint(cannot, "it is not UTF-8 text", "Save it as UTF-8, with plain line ends.", 3);
  if (text.trim() === "") throw new Complaint(cannot, "it is empty", "docs/OPERATIONS.md shows a whole one.", 3);
  const parsed = parseConfig(text);
  if ("config" in parsed) return { config: parsed.config, bytes: file.bytes };
  const faults = parsed.faults.map((fault) => `${path}:${fault.line}:${fault.column}: ${fault.message}`).join("; ");
  throw new Complaint(cannot, faults, "docs/OPERATIONS.md names every field.", 3);
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
