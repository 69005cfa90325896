import { LogDamaged } from "../audit/fault.ts";
import { segmentsIn } from "../audit/folder.ts";
import { loadLog, type Whose } from "../audit/load.ts";
import { parseCheckpoint } from "../audit/note.ts";
import type { Config } from "../config.ts";
import { type Disk, DiskError } from "../host/host.ts";
import { logOrigin } from "../wire/names.ts";
import type { IdentityFact, LogFact } from "./facts.ts";
import { attempt, boundedDisk } from "./look.ts";

/** As much of the newest part of a log as doctor reads: a large log is `audit verify`'s to read. */
const MAX_LOG_BYTES = 128 * 1024 * 1024;

/** The log's newest part held to its last head. Takes no lock: an agent may write it meanwhile. */
export function logFact(
  disk: Disk,
  config: Config,
  identity: IdentityFact,
  logKeys: readonly string[] | null,
): LogFact {
  const folder = `${config.state}/audit`;
  const segments = attempt(() => segmentsIn(disk, folder));
  if ("code" in segments) return { state: segments.code === "ENOENT" ? "none" : "closed", folder, code: segments.code };
  if (segments.value.length === 0) return { state: "none", folder };
  const whose: Whose =
    identity.state === "joined" && logKeys !== null
      ? { origin: logOrigin(identity.agentId, identity.epoch), holds: (key) => logKeys.includes(key) }
      : null;
  try {
    const { tree, memory, notes, torn } = loadLog(boundedDisk(disk, MAX_LOG_BYTES), folder, whose, null);
    const note = notes.at(-1);
    const head = note === undefined ? null : parseCheckpoint(note);
    return {
      state: "whole",
      folder,
      size: tree.size,
      head: head === null ? null : { size: head.size, time: head.time },
      held: whose !== null,
      torn: torn !== null,
      newest: memory.newest,
      epoch: memory.first?.epoch ?? null,
      revision: memory.history.revision,
      open: memory.open.size,
    };
  } catch (error) {
    if (error instanceof LogDamaged) return { state: "damaged", because: error.message, hint: error.hint };
    if (!(error instanceof DiskError)) throw error;
    if (error.code === "E2BIG" || error.code === "EFBIG") return { state: "long", folder, limit: MAX_LOG_BYTES };
    return { state: "closed", folder, code: error.code };
  }
}
