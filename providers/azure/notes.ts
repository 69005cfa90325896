import { type Disk, DiskError } from "../../agent/host/host.ts";
import { CallFailed } from "../provider.ts";
import { MAX_NOTE_BYTES, MAX_NOTES } from "./limits.ts";

/**
 * What a command must be able to say after a crash and Azure cannot: below the agent's state, a folder a kind, a file a command. "operations":
 * where a long-running operation is looked at; "issuing": the bytes that a key is about to sign; "issued": the chain that came of it;
 * "back": the image that a deploy is about to go back to.
 */
export type Kind = "operations" | "issuing" | "issued" | "back";
export type Notes = {
  /** Durable when it returns. Throws CallFailed. */
  write(kind: Kind, command: string, bytes: Uint8Array): void;
  /** Null: there is none. Throws CallFailed. */
  read(kind: Kind, command: string): Uint8Array | null;
  readonly folder: string;
};

const COMMAND = /^[0-9a-f-]{36}$/;

export function notesIn(disk: Disk, folder: string): Notes {
  const pathOf = (kind: Kind, command: string): string => {
    if (!COMMAND.test(command)) throw new Error("a command without an id");
    return `${folder}/${kind}/${command}`;
  };
  return {
    folder,
    write(kind, command, bytes) {
      const path = pathOf(kind, command);
      return noted(() => {
        disk.makeDirectory(folder, 0o700);
        disk.makeDirectory(`${folder}/${kind}`, 0o700);
        // Ids are in the order of time: the oldest go.
        const others = disk.list(`${folder}/${kind}`).filter((name) => COMMAND.test(name));
        for (const old of others.slice(0, Math.max(0, others.length - MAX_NOTES + 1)))
          disk.remove(`${folder}/${kind}/${old}`);
        disk.replace(path, bytes, 0o600);
      });
    },
    read: (kind, command) => {
      const path = pathOf(kind, command);
      return noted(() => (disk.exists(path) ? disk.read(path, MAX_NOTE_BYTES).bytes : null));
    },
  };
}

function noted<T>(how: () => T): T {
  try {
    return how();
  } catch (error) {
    throw error instanceof DiskError ? new CallFailed(error.code, `${error.path}: ${error.message}`, "none") : error;
  }
}
