import type { Entry } from "../../agent/audit/entry.ts";
import { durableBytes, type Storage } from "./storage.ts";

/** The log as it lies on a disk, read without the product's own code. */
export const AUDIT = "/var/lib/reeve/audit";
export type Intent = Extract<Entry, { kind: "intent" }>;

export function isSegment(path: string, folder = AUDIT): boolean {
  return path.startsWith(`${folder}/`) && /^\d{20}\.jsonl$/.test(path.slice(folder.length + 1));
}

/** The entries of a machine's log. `durable`: only what no loss of power could take away. */
export function entriesOf({ storage }: { readonly storage: Storage }, durable: boolean): Entry[] {
  return [...storage.nodes.keys()]
    .filter((path) => isSegment(path))
    .sort()
    .flatMap((path) => {
      const node = storage.nodes.get(path);
      const whole = node?.bytes.subarray(0, node.size) ?? Buffer.alloc(0);
      return entriesIn((durable ? durableBytes(storage, path) : whole) ?? Buffer.alloc(0));
    });
}

/** What a crash left of a line is left out: whether the agent reads it as that is audit verify's question. */
export function entriesIn(bytes: Buffer): Entry[] {
  const lines = bytes.toString("utf8").split("\n").slice(0, -1);
  return lines.flatMap((line) => {
    try {
      return [JSON.parse(line) as Entry];
    } catch {
      return [];
    }
  });
}

export function openIntents(entries: readonly Entry[]): Intent[] {
  const ended = new Set(entries.flatMap((one) => (one.kind === "outcome" ? [one.command] : [])));
  return entries.filter((one): one is Intent => one.kind === "intent" && !ended.has(one.command));
}
