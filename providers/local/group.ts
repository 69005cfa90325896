import { createHash } from "node:crypto";
import { z } from "zod";
import type { Host } from "../../agent/host/host.ts";
import { bootId, lives, type ProcessId, processesWith } from "./processes.ts";

const MAX_BOOK_BYTES = 256 * 1024;
/** Between fork and exec a child does not show its environment yet. */
const EXEC_SETTLE_MS = 250;

/** `spawn` is drawn for each start and stands in the child's environment: by it a child is found whose pid was not written down. */
const Slot = z.strictObject({
  n: z.number().int().min(0),
  spawn: z.string().regex(/^[0-9a-f]{32}$/),
  command: z.string(),
  state: z.enum(["starting", "running", "stopping"]),
  process: z.strictObject({ pid: z.number().int().min(2), start: z.string() }).nullable(),
});
export type Slot = z.infer<typeof Slot>;
const BookFile = z.strictObject({ version: z.literal(1), group: z.string(), boot: z.string(), slots: z.array(Slot) });

export type LiveSlot = Slot & { readonly process: ProcessId };

export type Book = {
  /** The slots whose process lives, by number. Reads only. Throws DiskError, SyntaxError or ZodError when it cannot be read. */
  live(): Promise<LiveSlot[]>;
  /** Durable when it returns. */
  write(slots: readonly Slot[]): void;
};

export function spawnMarker(spawn: string): string {
  return `REEVE_SPAWN=${spawn}`;
}

/** What is known of one group's processes: a file in `state`, held against /proc. */
export function groupBook(host: Host, state: string, group: string): Book {
  const name = createHash("sha256").update(group).digest("hex").slice(0, 32);
  const path = `${state}/group-${name}.json`;
  const read = (): Slot[] => {
    if (!host.disk.exists(path)) return [];
    const book = BookFile.parse(JSON.parse(new TextDecoder().decode(host.disk.read(path, MAX_BOOK_BYTES).bytes)));
    if (book.group !== group) throw new SyntaxError("the file is another group's");
    // After a reboot nothing of it lives.
    return book.boot === bootId() ? book.slots : [];
  };
  const find = async (slot: Slot): Promise<ProcessId | null> => {
    if (slot.process !== null) return lives(slot.process) ? slot.process : null;
    // We stopped between the start and its record. The started process leads its session; what it forked does not.
    const search = () => processesWith(spawnMarker(slot.spawn)).find((found) => found.session === found.pid);
    const found = search() ?? (await host.clock.sleep(EXEC_SETTLE_MS).then(search));
    return found === undefined ? null : { pid: found.pid, start: found.start };
  };
  return {
    async live() {
      const found: LiveSlot[] = [];
      for (const slot of read()) {
        const process = await find(slot);
        if (process !== null) found.push({ ...slot, process });
      }
      return found.sort((a, b) => a.n - b.n);
    },
    write(slots) {
      host.disk.makeDirectory(state, 0o700);
      const book = { version: 1, group, boot: bootId(), slots };
      host.disk.replace(path, new TextEncoder().encode(`${JSON.stringify(book)}\n`), 0o600);
    },
  };
}
