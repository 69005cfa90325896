import type { Config } from "../config.ts";
import type { Disk } from "../host/host.ts";
import { DiskError } from "../host/host.ts";
import { MAX_TOKEN_BYTES } from "../limits.ts";
import { type EnrolmentFault, enrolmentFault } from "./fault.ts";
import { diskFault } from "./store.ts";

/** Where the join token comes from: never an argument or a variable. */
export type TokenSource = { readonly kind: "credential" | "file"; readonly path: string };

/** `credentialsDirectory`: what systemd put into CREDENTIALS_DIRECTORY; null without it. */
export function tokenSource(config: Config, credentialsDirectory: string | null): TokenSource | null {
  if ("file" in config.token) return { kind: "file", path: config.token.file };
  return credentialsDirectory === null
    ? null
    : { kind: "credential", path: `${credentialsDirectory}/${config.token.credential}` };
}

/**
 * The token's text, without the newline that an editor adds. A file must belong to the agent's user or root and be closed to others.
 * A credential's mode is systemd's own (it shows the mask of an ACL), so it is not judged.
 */
export function readTokenText(disk: Disk, source: TokenSource | null, uid: number): string | EnrolmentFault {
  if (source === null) {
    return enrolmentFault(
      "token-missing",
      "Cannot enrol: the config names a systemd credential, and systemd gave none.",
      "Add LoadCredential= to the unit, or name a file: token: { file: PATH }.",
    );
  }
  try {
    const { bytes, stat } = disk.read(source.path, MAX_TOKEN_BYTES);
    if (source.kind === "file" && ((stat.uid !== uid && stat.uid !== 0) || (stat.mode & 0o077) !== 0)) {
      return enrolmentFault(
        "token-permission",
        `Cannot take the join token in ${source.path}: others can read it, or it is another user's.`,
        `Who read it can join in your place. Ask for a new one, and keep it so: chown ${uid} ${source.path}; chmod 0600 ${source.path}`,
      );
    }
    return Buffer.from(bytes).toString("latin1").trimEnd();
  } catch (error) {
    if (error instanceof DiskError && error.code === "ENOENT") {
      return enrolmentFault(
        "token-missing",
        `Cannot enrol: there is no join token at ${source.path}.`,
        "Ask the vendor for a join token and put it there.",
      );
    }
    return diskFault(error);
  }
}

/** Unlinks a used token's file. A credential is systemd's to remove. */
export function removeToken(disk: Disk, source: TokenSource | null): EnrolmentFault | null {
  if (source?.kind !== "file" || !disk.exists(source.path)) return null;
  try {
    disk.remove(source.path);
    return null;
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    return enrolmentFault(
      "token-permission",
      `Enrolled, but cannot remove the used join token ${source.path}: ${error.code}.`,
      `Remove it: rm ${source.path}. The enrolment is kept.`,
    );
  }
}
