import type { Server } from "node:net";
import { readMeta, type Sql, writeMeta } from "./store.ts";

/**
 * What came first, as this server saw it: no clock is asked, for one that is set would turn order round. A moment of an earlier start of
 * `serve` is before everything of this one; one server at a time works on a store. Held here, not read again: a second server that could not
 * listen has raised the number too. By the store's one `Sql`, for a process may serve on several.
 */
const starts = new WeakMap<Sql, number>();

/**
 * Numbers this start, above every one before. `atMs`: this machine's clock, which only makes the first number larger than those of a store whose
 * starts were named by it.
 */
export async function beginStart(sql: Sql, atMs: number = Date.now()): Promise<void> {
  const start = Math.max(Number((await readMeta(sql, "start")) ?? "0") + 1, atMs);
  await writeMeta(sql, "start", String(start));
  starts.set(sql, start);
}

function startOf(sql: Sql): number {
  const start = starts.get(sql);
  if (start === undefined) throw new Error("nothing serves on this store");
  return start;
}

/** Microseconds since this server's start. */
export function sinceStart(): number {
  return Math.floor(performance.now() * 1000);
}

/** Now, as it is kept in the store. */
export function moment(sql: Sql): string {
  return `${startOf(sql)} ${sinceStart()}`;
}

/** Whether a connection was accepted after a moment. Not known means no. */
export function isAfter(sql: Sql, accepted: number | null, kept: string): boolean {
  if (accepted === null) return false;
  const ours = startOf(sql);
  const [start = 0, since = 0] = kept.split(" ").map(Number);
  return start < ours || (start === ours && accepted > since);
}

/** When each open connection was accepted, which is before its handshake. */
const times = new Map<string, number>();

type Ends = {
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
};
/** The runtime shows a request another object than it showed when the connection came: what names its two ends is the same in both. */
function nameOf({ localPort, remoteAddress, remotePort }: Ends): string | null {
  const known = localPort !== undefined && remoteAddress !== undefined && remotePort !== undefined;
  return known ? `${localPort} ${remoteAddress} ${remotePort}` : null;
}

export function watchAccepted(server: Pick<Server, "on">): void {
  server.on("connection", (socket) => {
    const name = nameOf(socket);
    if (name === null) return;
    times.set(name, sinceStart());
    socket.once("close", () => times.delete(name));
  });
}

/** By sinceStart(); null when it is not known. */
export function acceptedAt(socket: Ends): number | null {
  const name = nameOf(socket);
  return name === null ? null : (times.get(name) ?? null);
}
