import type { Name, Sent } from "./holders.ts";

/**
 * What must hold of two that hold one identity, told from the answers alone: it shares nothing with control/copies.ts and control/moment.ts.
 * Its moments are those of a clock.
 */
export type Memory = {
  /** The epoch that acts. */
  epoch: number;
  place: string | null;
  readonly replaced: Record<string, string>;
  /** The newest key that was used, and when older ones stopped being it. */
  newest: number;
  readonly retired: Record<string, string>;
  longest: { size: number; at: string } | null;
  /** The entries that the control plane said it holds. */
  held: readonly string[];
  /** The sign by which both were shown; null while there is none. */
  shown: string | null;
  /** By command: who was told that its intent is held. */
  readonly told: Record<string, Name>;
};
export type Heard = { readonly status: number; readonly code: string };

export function newMemory(): Memory {
  return {
    epoch: 1,
    place: null,
    replaced: {},
    newest: 0,
    retired: {},
    longest: null,
    held: [],
    shown: null,
    told: {},
  };
}

/** Why this request shows that two hold the identity; null when it does not. To be asked before it is delivered. */
export function signOf(memory: Memory, sent: Sent): string | null {
  const after = (at: string | undefined): boolean => at !== undefined && isAfter(sinceOf(sent.line.accepted), at);
  if (sent.epoch !== memory.epoch || sent.kind === "grace") return null;
  if (after(memory.retired[sent.line.key])) return "a replaced certificate";
  if (memory.retired[sent.line.key] !== undefined || sent.kind === "renew") return null;
  if (sent.kind === "poll" && after(memory.replaced[sent.process])) return "a replaced process";
  if (memory.longest !== null && sent.lines.length < memory.longest.size && after(memory.longest.at))
    return "a shorter log";
  const shared = Math.min(sent.lines.length, memory.held.length);
  const known = sent.kind === "report" || sent.lines.length <= memory.held.length;
  return known && sent.lines.slice(0, shared).some((line, at) => line !== memory.held[at]) ? "another log" : null;
}

/** Now. */
export function moment(): string {
  return `1700000000000 ${Math.floor(performance.now() * 1000)}`;
}

function isAfter(accepted: number, kept: string): boolean {
  return accepted > sinceOf(kept);
}

/** Microseconds, as in a moment. */
export function sinceOf(text: string): number {
  return Number(text.split(" ")[1]);
}

/** What did not hold, by this answer; null when all did. */
export function breachOf(memory: Memory, sent: Sent, answer: Heard): string | null {
  if (answer.status >= 500 && answer.code !== "unavailable") return `an answer of ${answer.status}`;
  if (answer.status !== 200) return null;
  if (sent.epoch !== memory.epoch) return `epoch ${sent.epoch} was answered after epoch ${memory.epoch} had begun`;
  return memory.shown === null ? null : `${sent.name} was answered although ${memory.shown} had been shown`;
}

/** Keeps what an answer says. */
export function remember(memory: Memory, sent: Sent, answer: Heard): void {
  if (sent.epoch !== memory.epoch || answer.status !== 200) return;
  if (sent.line.key !== memory.newest && memory.retired[sent.line.key] === undefined) {
    memory.retired[memory.newest] = moment();
    memory.newest = sent.line.key;
  }
  if (sent.kind === "renew" || sent.kind === "grace") return;
  if (memory.longest === null || sent.lines.length > memory.longest.size)
    memory.longest = { size: sent.lines.length, at: moment() };
  if (sent.kind === "report" && sent.lines.length > memory.held.length) memory.held = sent.lines;
  if (sent.kind !== "poll") return;
  if (memory.place !== null && memory.place !== sent.process) memory.replaced[memory.place] ??= moment();
  memory.place = sent.process;
}

/** The process that wrote these intents heard that they are held. Null, or what does not hold. */
export function tell(memory: Memory, name: Name, intents: readonly string[]): string | null {
  for (const line of intents) {
    const { command } = JSON.parse(line) as { command: string };
    const other = memory.told[command] ?? name;
    if (other !== name) return `${other} and ${name} were both told that the intent of one command is held`;
    memory.told[command] = name;
  }
  return null;
}
