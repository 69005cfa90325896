/** Calls by which something becomes durable or is said. */
export const CALLS = [
  "write",
  "pwrite64",
  "writev",
  "pwritev",
  "fdatasync",
  "fsync",
  "rename",
  "renameat",
  "renameat2",
  "unlink",
  "unlinkat",
  "ftruncate",
  "sendto",
  "sendmsg",
];

/** Calls by their main thread: strace counts `when=` per thread. */
export function enumerate(trace: string): Map<string, number> {
  const lines = trace.split("\n");
  const main = lines[0]?.split(/\s+/)[0] ?? "";
  const counts = new Map<string, number>();
  for (const line of lines) {
    const call = /^(\d+)\s+(?:[\d.]+\s+)?([a-z0-9]+)\(/.exec(line);
    if (call?.[1] !== main || call[2] === undefined) continue;
    counts.set(call[2], (counts.get(call[2]) ?? 0) + 1);
  }
  return counts;
}
