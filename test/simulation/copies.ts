import { entriesOf } from "./entries.ts";
import type { Machine } from "./machine.ts";
import type { Exchange } from "./net.ts";

/** Asked for before anybody says who they are. */
const NAMELESS = "/v1/nonce";

/** What the answers to one epoch's requests have shown so far. Moments are the world's milliseconds. */
type Memory = {
  /** Since when somebody was told that it is fenced, while no other epoch acts. */
  shown: number | null;
  longest: { readonly size: number; readonly at: number };
  place: string | null;
  readonly replaced: Map<string, number>;
  /** The lines that the control plane took, by their index. */
  readonly held: Map<number, string>;
};
export type Holders = {
  /** An answer leaves the control plane. `acts`: no newer machine was enrolled; `alone`: its disk was never copied. */
  answered(machine: Machine, exchange: Exchange, is: { readonly acts: boolean; readonly alone: boolean }): void;
};

/**
 * What must hold of two that hold one identity, told from requests and answers alone; it shares nothing with control/copies.ts. What came
 * over a connection that is older than what speaks against it may be late, and is not judged.
 */
export function holdersOf(at: { now(): number; violate(invariant: string, what: string): void }): Holders {
  const epochs = new Map<number, Memory>();
  const memoryOf = (epoch: number): Memory => {
    const empty = { shown: null, longest: { size: 0, at: 0 }, place: null, replaced: new Map(), held: new Map() };
    const memory = epochs.get(epoch) ?? empty;
    epochs.set(epoch, memory);
    return memory;
  };
  const known = new Map<Machine, number>();
  const epochOf = (machine: Machine): number | null => {
    const epoch = known.get(machine) ?? entriesOf(machine, false)[0]?.epoch;
    if (epoch !== undefined) known.set(machine, epoch);
    return epoch ?? null;
  };
  const violate = (machine: Machine, what: string): void => at.violate("8 one agent", `${machine.name} ${what}`);

  function polled(machine: Machine, memory: Memory, { body, text, accepted }: Exchange): void {
    const { process, checkpoint } = JSON.parse(body ?? "{}") as {
      readonly process: string;
      readonly checkpoint: string;
    };
    const size = Number(checkpoint.split("\n")[1]);
    if (size < memory.longest.size && accepted > memory.longest.at)
      violate(machine, `was answered with a log of ${size} entries after ${memory.longest.size} had been shown`);
    const { commands } = JSON.parse(text) as { readonly commands: readonly string[] };
    if (commands.length > 0 && memory.replaced.has(process))
      violate(machine, "was handed commands in a process that another had replaced");
    if (accepted > (memory.replaced.get(process) ?? Number.POSITIVE_INFINITY))
      violate(machine, "was answered by a process that another had replaced");
    if (size > memory.longest.size) memory.longest = { size, at: at.now() };
    if (memory.place !== null && memory.place !== process) memory.replaced.set(memory.place, at.now());
    if (!memory.replaced.has(process)) memory.place = process;
  }

  function reported(machine: Machine, memory: Memory, { body }: Exchange): void {
    const { from, entries } = JSON.parse(body ?? "{}") as {
      readonly from: number;
      readonly entries: readonly string[];
    };
    for (const [place, line] of entries.entries()) {
      const known = memory.held.get(from + place) ?? line;
      if (known !== line) violate(machine, `was told that its entry ${from + place} is held, which is another's`);
      memory.held.set(from + place, line);
    }
  }

  return {
    answered(machine, exchange, { acts, alone }) {
      const { path, status, text } = exchange;
      const epoch = epochOf(machine);
      if (epoch === null) return;
      const memory = memoryOf(epoch);
      if (status === 403 && text.includes('"fenced"') && acts) {
        if (alone) at.violate("locked out", `${machine.name} is fenced, and it is alone: ${text}`);
        memory.shown ??= at.now();
      }
      if (status !== 200 || path === NAMELESS) return;
      if (memory.shown !== null && at.now() > memory.shown)
        violate(machine, "was answered after a copy had been shown");
      if (path === "/v1/commands") polled(machine, memory, exchange);
      if (path === "/v1/reports") reported(machine, memory, exchange);
    },
  };
}
