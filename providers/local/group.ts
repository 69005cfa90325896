import { createHash } from "node:crypto";
import { z } from "zod";
import type { Host } from "../../agent/host/host.ts";
import { bootId, lives, type ProcessId, processesWith } from "./processes.ts";

const MAX_BOOK_BYTES = 256 * 1024;
/** Between fork and exec a child does not show its environment yet. */
const EXEC_SETTLE_MS = 250;

/** Left out where there is none, so that a book without a deploy is one that earlier versions read. */
const Image = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/)
  .nullable()
  .default(null);

/** `spawn` is drawn for each start and stands in the child's environment: by it a child is found whose pid was not written down. */
const Slot = z.strictObject({
  n: z.number().int().min(0),
  spawn: z.string().regex(/^[0-9a-f]{32}$/),
  command: z.string(),
  state: z.enum(["starting", "running", "stopping"]),
  process: z.strictObject({ pid: z.number().int().min(2), start: z.string() }).nullable(),
  /** What it was started from: `sha256:` of a program, or null for the config's command. */
  image: Image,
});
export type Slot = z.infer<typeof Slot>;
const BookFile = z.strictObject({
  version: z.literal(1),
  group: z.string(),
  boot: z.string(),
  slots: z.array(Slot),
  image: Image,
  back: z.strictObject({ command: z.string(), why: z.string() }).nullable().default(null),
});

export type LiveSlot = Slot & { readonly process: ProcessId };

/** What is written down of a group. */
export type Pages = {
  readonly slots: readonly Slot[];
  /** What new processes are started from: the image that was deployed last and became well; null before the first. */
  readonly image: string | null;
  /** The deploy that goes back to `image` because its own did not become well, by its command's id, and why; null for none. */
  readonly back: { readonly command: string; readonly why: string } | null;
};
export type Book = {
  /** Throws DiskError, SyntaxError or ZodError when it cannot be read. */
  read(): Pages;
  /** Those of the slots whose process lives, by number. */
  live(slots: readonly Slot[]): Promise<LiveSlot[]>;
  /** Durable when it returns. */
  write(pages: Pages): void;
};

export function spawnMarker(spawn: string): string {
  return `REEVE_SPAWN=${spawn}`;
}

/** What is known of one group's processes: a file in `state`, held against /proc. */
export function groupBook(host: Host, state: string, group: string): Book {
  const name = createHash("sha256").update(group).digest("hex").slice(0, 32);
  const path = `${state}/group-${name}.json`;
  const find = async (slot: Slot): Promise<ProcessId | null> => {
    if (slot.process !== null) return lives(slot.process) ? slot.process : null;
    // We stopped between the start and its record. The started process leads its session; what it forked does not.
    const search = () => processesWith(spawnMarker(slot.spawn)).find((found) => found.session === found.pid);
    const found = search() ?? (await host.clock.sleep(EXEC_SETTLE_MS).then(search));
    return found === undefined ? null : { pid: found.pid, start: found.start };
  };
  return {
    read() {
      if (!host.disk.exists(path)) return { slots: [], image: null, back: null };
      const book = BookFile.parse(JSON.parse(new TextDecoder().decode(host.disk.read(path, MAX_BOOK_BYTES).bytes)));
      if (book.group !== group) throw new SyntaxError("the file is another group's");
      // After a reboot nothing of it lives.
      return { slots: book.boot === bootId() ? book.slots : [], image: book.image, back: book.back };
    },
    async live(slots) {
      const found: LiveSlot[] = [];
      for (const slot of slots) {
        const process = await find(slot);
        if (process !== null) found.push({ ...slot, process });
      }
      return found.sort((a, b) => a.n - b.n);
    },
    write({ slots, image, back }) {
      host.disk.makeDirectory(state, 0o700);
      const said = slots.map(({ image, ...slot }) => (image === null ? slot : { ...slot, image }));
      const more = { ...(image === null ? {} : { image }), ...(back === null ? {} : { back }) };
      const book = { version: 1, group, boot: bootId(), slots: said, ...more };
      host.disk.replace(path, new TextEncoder().encode(`${JSON.stringify(book)}\n`), 0o600);
    },
  };
}
