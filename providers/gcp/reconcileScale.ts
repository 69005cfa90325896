import { failed } from "../outcome.ts";
import { CallFailed, type Executed, type Reconciled } from "../provider.ts";
import type { Group } from "./group.ts";
import { IN_FLIGHT_MS } from "./limits.ts";
import { endOf, type Seen, settle, type Work } from "./wait.ts";

/**
 * What an intent became. Compute Engine keeps an operation under the request id that began it, which is the command's: whether ours was made is
 * told by it, and what came of it by the group. Without one, the group's own size tells. Throws CallFailed: whoever asked asks again.
 */
export async function reconciled(work: Work, found: number): Promise<Reconciled> {
  const { service, wanted, errand, context } = work;
  const begun = async (): Promise<string | null> => service.begun(errand.id);
  let operation = await begun();
  if (operation === null) {
    // One that was on its way when the agent stopped.
    await context.host.clock.sleep(IN_FLIGHT_MS, errand.signal);
    operation = await begun();
  }
  const group = await service.read();
  if (group === null) return { ...failed("missing"), known_by: "state" };
  if (operation !== null) return { ...(await byOperation(work, operation, group, found)), known_by: "token" };
  if (group.target === found && found !== wanted) return { ...failed("interrupted"), known_by: "state" };
  return { ...(await byState(work, group, found)), known_by: "state" };
}

async function byOperation(work: Work, operation: string, group: Group, found: number): Promise<Executed> {
  const ended = endOf(await work.service.operation(operation));
  if (ended !== null && "failed" in ended) return ended.failed;
  return byState(work, group, found);
}

async function byState(work: Work, group: Group, found: number): Promise<Executed> {
  const before: Seen = { ...group, target: found, instances: await work.service.instances() };
  const executed = await settle(work, { before, lost: null, settlesUntil: 0 });
  // It could not be read: whoever asked asks again.
  if (executed.result === "unknown") throw new CallFailed(executed.code ?? "", executed.words ?? "", "none");
  return executed;
}
