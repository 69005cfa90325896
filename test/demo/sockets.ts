import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** `st` of a listening socket in /proc/net/tcp, and `Flags` of one in /proc/net/unix (__SO_ACCEPTCON). */
const TCP_LISTEN = "0A";
const UNIX_LISTEN = "00010000";

/** How many sockets a process accepts connections on, TCP and unix, from /proc: the kernel's word. */
export function listeningSockets(pid: number): number {
  const listening = new Set([
    ...rows("tcp").flatMap((row) => (row[3] === TCP_LISTEN ? [row[9]] : [])),
    ...rows("tcp6").flatMap((row) => (row[3] === TCP_LISTEN ? [row[9]] : [])),
    ...rows("unix").flatMap((row) => (row[3] === UNIX_LISTEN ? [row[6]] : [])),
  ]);
  return inodes(pid).filter((inode) => listening.has(inode)).length;
}

function rows(table: string): string[][] {
  const text = readFileSync(`/proc/net/${table}`, "utf8");
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
}

/** Inodes of the sockets that a process holds. */
function inodes(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      // Closed meanwhile.
      return [];
    }
  });
}
