import { z } from "zod";
import { DiskError } from "../../agent/host/host.ts";
import { CallFailed } from "../provider.ts";
import type { AcmeContext } from "./call.ts";
import { MAX_NOTE_BYTES } from "./limits.ts";

/**
 * What a command has begun with an authority, durable before the step that it names: where a crash comes, the next start finds the one order
 * and the records that are in the zone for it.
 */
const Note = z.strictObject({
  /** The command's id. */
  command: z.string(),
  /** As the rule names it. */
  authority: z.string(),
  /** URLs of the account and the order. */
  account: z.string(),
  order: z.string(),
  /** `finalizing`: the request to issue has left, or is about to. Before, no certificate can come of the order. */
  step: z.enum(["ordered", "finalizing"]),
  /** TXT records that were, or are about to be, put in the zone and were not yet seen to be gone. */
  records: z.array(z.strictObject({ name: z.string(), value: z.string() })),
  /** Seconds, by the permitting rule and the command: what comes is held to it. */
  validity: z.strictObject({ min: z.number(), max: z.number() }),
});
export type Note = z.infer<typeof Note>;
export type ChallengeRecord = Note["records"][number];

export type NoteBook = {
  /** Null: the command has ordered nothing. Throws CallFailed `note`. */
  read(command: string): Note | null;
  /** Durable when it returns. Throws CallFailed, `note` for one that could not be read again. */
  write(note: Note): void;
  remove(command: string): void;
  /** Those that can be read. One that cannot stays where it is, for its own command, and keeps no other from the authority. */
  all(): readonly Note[];
};

export function noteBook({ setting, state }: AcmeContext): NoteBook {
  const { disk } = setting.host;
  const folder = `${state}/orders`;
  const path = (command: string) => `${folder}/${command}.json`;
  const read = (file: string): Note => {
    try {
      return Note.parse(JSON.parse(new TextDecoder().decode(disk.read(file, MAX_NOTE_BYTES).bytes)));
    } catch (error) {
      if (error instanceof DiskError || error instanceof z.ZodError || error instanceof SyntaxError)
        throw new CallFailed("note", `${file}: ${error.message}`, "none");
      throw error;
    }
  };
  const failing = (then: () => void): void => {
    try {
      then();
    } catch (error) {
      throw error instanceof DiskError ? new CallFailed(error.code, error.message, "none") : error;
    }
  };
  return {
    read: (command) => (disk.exists(path(command)) ? read(path(command)) : null),
    write(note) {
      const bytes = new TextEncoder().encode(JSON.stringify(note));
      if (bytes.length > MAX_NOTE_BYTES)
        throw new CallFailed(
          "note",
          `it would have ${bytes.length} bytes: what the authority answered is too long`,
          "none",
        );
      failing(() => {
        disk.makeDirectory(folder, 0o700);
        disk.replace(path(note.command), bytes, 0o600);
      });
    },
    remove: (command) => failing(() => disk.remove(path(command))),
    all() {
      if (!disk.exists(folder)) return [];
      // What a crash left half written has another ending.
      return disk
        .list(folder)
        .filter((name) => name.endsWith(".json"))
        .flatMap((name) => {
          try {
            return [read(`${folder}/${name}`)];
          } catch (error) {
            if (error instanceof CallFailed) return [];
            throw error;
          }
        });
    },
  };
}
