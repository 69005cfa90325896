import { z } from "zod";
import type { Config } from "../config.ts";
import type { Disk } from "../host/host.ts";
import type { StatusFact } from "./facts.ts";
import { attempt } from "./look.ts";

const MAX_STATUS_BYTES = 1024 * 1024;
const Word = z.string().max(4096);
/** What doctor needs of `status.json`; other fields may be added to it. */
const Kept = z.object({
  state: Word,
  reason: Word,
  pid: z.number().int().min(1),
  out_of_contact: z.object({ since: Word, reason: Word }).nullable(),
  /** Not in the file of an agent from before there were witnesses. */
  witnesses: z
    .array(
      z.object({
        name: Word,
        size: z.number(),
        at: Word.nullable(),
        failing: z.object({ since: Word, reason: Word }).nullable(),
      }),
    )
    .default([]),
});

export function statusFact(disk: Disk, config: Config, alive: (pid: number) => boolean): StatusFact {
  const path = `${config.runtime}/status.json`;
  const read = attempt(() => disk.read(path, MAX_STATUS_BYTES).bytes);
  if ("code" in read) return { state: read.code === "ENOENT" ? "none" : "unreadable", path };
  const kept = Kept.safeParse(json(read.value));
  if (!kept.success) return { state: "unreadable", path };
  const { state, reason, pid, out_of_contact, witnesses } = kept.data;
  return { state: "kept", alive: alive(pid), says: state, reason, pid, contact: out_of_contact, witnesses };
}

function json(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
