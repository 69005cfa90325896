import type { Server } from "node:net";
import type { News, Sql, Store } from "./store.ts";
import { sayTrouble } from "./terminal.ts";

/**
 * What came first, for all who serve on one store: no clock is asked, for clocks differ and one that is set turns order round. A moment is a
 * number that each transaction which makes one raises, and nobody else can until it is over: so the numbers stand in the order in which their
 * transactions became durable. Whoever serves knows the newest that it has seen on record; a connection gets that one when it is accepted.
 * It is a lower bound: who knows late calls a connection older than it is, never younger.
 */
export type Moments = {
  /** The newest moment known to be on record, with every one before it. */
  newest(): number;
  end(): void;
};

/** Now, as it is kept in the store. */
export async function moment(sql: Sql): Promise<string> {
  const [row] = await sql.rows<{ value: number }>(
    "update counters set value = value + 1 where name = 'moment' returning value",
  );
  if (row === undefined) throw new Error("the store counts no moments");
  sql.tell({ moment: row.value });
  return String(row.value);
}

/** Whether a connection was accepted after a moment. Not known means no. */
export function isAfter(accepted: number | null, kept: string): boolean {
  return accepted !== null && accepted >= Number(kept);
}

/** Listens before it looks, so that none is missed for good. */
export async function watchMoments(store: Store): Promise<Moments> {
  let newest = 0;
  const know = (moment: number): void => {
    newest = Math.max(newest, moment);
  };
  const look = async (): Promise<void> => {
    const before = newest;
    const now = await store.read(readMoment);
    if (now >= before) return know(now);
    // The state was taken back, as by a restore: what connections bear would call them younger than they are.
    stamps.clear();
    newest = now;
  };
  const end = await store.listen((news: News) => {
    // What cannot be read now is read after the next news; until then what is known is older, and that is harmless.
    if (news === "all") look().catch((error: unknown) => sayTrouble("the newest moment cannot be read", error));
    else if ("moment" in news) know(news.moment);
  });
  await look();
  return { newest: () => newest, end };
}

async function readMoment(sql: Sql): Promise<number> {
  const [row] = await sql.rows<{ value: number }>("select value from counters where name = 'moment'");
  return row?.value ?? 0;
}

/** What was the newest moment when each open connection was accepted, which is before its handshake. */
const stamps = new Map<string, { readonly newest: number }>();

type Ends = {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
};
/** The runtime shows a request another object than it showed when the connection came: what names its two ends is the same in both. */
function nameOf({ localAddress, localPort, remoteAddress, remotePort }: Ends): string | null {
  const ends = [localAddress, localPort, remoteAddress, remotePort];
  return ends.every((end) => end !== undefined) ? ends.join(" ") : null;
}

export function watchAccepted(server: Pick<Server, "on">, moments: Pick<Moments, "newest">): void {
  server.on("connection", (socket) => {
    const name = nameOf(socket);
    if (name === null) return;
    const stamp = { newest: moments.newest() };
    stamps.set(name, stamp);
    socket.once("close", () => {
      if (stamps.get(name) === stamp) stamps.delete(name);
    });
  });
}

/** The newest moment then; null when it is not known. */
export function acceptedAt(socket: Ends): number | null {
  const name = nameOf(socket);
  return name === null ? null : (stamps.get(name)?.newest ?? null);
}
