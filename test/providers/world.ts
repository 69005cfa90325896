import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realHost } from "../../agent/host/real.ts";
import { type GateOperation, makeGate } from "../../providers/gate.ts";
import type { ActionProvider, Errand, Executed, Gate, Reconciled } from "../../providers/provider.ts";

export const host = realHost();

export function scratch(): string {
  return mkdtempSync(join(tmpdir(), "reeve-providers-"));
}
export function removeAll(folders: readonly string[]): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

export type GateWish = {
  readonly phase?: "read" | "beside" | "all";
  readonly beforeChange?: () => void;
  readonly resource?: string;
};

/** A gate as the road makes it, for one command on `resource`. */
export function gateFor<Args, State>(
  action: ActionProvider<Args, State>,
  args: Args,
  resource: string,
  wish: GateWish = {},
) {
  const operations: GateOperation[] = [];
  const gate = makeGate({
    table: action.operations,
    places: action.places(args),
    beside: action.beside?.(args) ?? [],
    resource: wish.resource ?? resource,
    phase: wish.phase ?? "all",
    beforeChange: wish.beforeChange ?? (() => undefined),
    now: () => host.clock.monotonic(),
    record: (operation) => operations.push(operation),
  });
  return { gate, operations };
}

export function errand(signal: AbortSignal = new AbortController().signal): Errand {
  return { id: host.random.uuidv7(), signal, unavailable: 1 };
}

/** One command as the road gives it to a provider. */
export type Command<Args, State> = {
  readonly action: ActionProvider<Args, State>;
  readonly args: Args;
  readonly resource: string;
};

export async function see<Args, State>({ action, args, resource }: Command<Args, State>): Promise<State> {
  const seen = await action.describe(gateFor(action, args, resource, { phase: "read" }).gate, args, errand());
  if (!("state" in seen)) throw new Error(JSON.stringify(seen));
  return seen.state;
}

export async function act<Args, State>(
  command: Command<Args, State>,
  wish: GateWish = {},
  own: Errand = errand(),
  found?: State,
): Promise<Executed & { operations: readonly GateOperation[] }> {
  const { action, args, resource } = command;
  const state = found ?? (await see(command));
  const { gate, operations } = gateFor(action, args, resource, wish);
  return { ...(await action.execute(gate, args, state, own)), operations };
}

export function recall<Args, State>(
  { action, args, resource }: Command<Args, State>,
  found: State,
  own: Errand = errand(),
): Promise<Reconciled> {
  return action.reconcile(gateFor(action, args, resource, { phase: "read" }).gate, args, found, own);
}

export type { Gate };
