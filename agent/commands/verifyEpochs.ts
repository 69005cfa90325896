import { type Chain, chainOf, type EpochLog, epochOf, epochsBelow } from "../audit/verify/epochs.ts";
import { COULD_NOT_LOOK, type Verdict } from "../audit/verify/verdict.ts";
import { type Given, verifyLog } from "../audit/verify.ts";
import type { Disk } from "../host/host.ts";

/** `verdict`: of the newest epoch that is here. `chain`: null where only one is. */
export type Looked = { readonly verdict: Verdict; readonly logs: readonly EpochLog[]; readonly chain: Chain | null };

/**
 * The log in a folder, and those of the epochs before that lie below it as `epoch-N`: each by itself, then as one chain. What is held against
 * another copy is the newest alone.
 */
export async function verifyEpochs(disk: Disk, folder: string, given: Given): Promise<Looked> {
  const below = epochsBelow(disk, folder);
  const own = await verifyLog(disk, folder, given);
  if (below.length === 0) return { verdict: own, logs: [], chain: null };
  const logs: EpochLog[] = [];
  for (const { epoch, folder: there } of below) {
    const verdict = await verifyLog(disk, there, { ...given, with: [], against: null });
    logs.push({ epoch, folder: there, verdict: isThere(verdict) ? verdict : null });
  }
  const epoch = epochOf(own.origin);
  if (epoch !== null) logs.push({ epoch, folder, verdict: own });
  const newest = logs.findLast(({ verdict }) => verdict !== null)?.verdict ?? own;
  return { verdict: newest, logs, chain: chainOf(disk, logs) };
}

function isThere(verdict: Verdict): boolean {
  return !(verdict.exit === COULD_NOT_LOOK && verdict.segments === 0);
}

export function chainJson({ verdict, logs, chain }: Looked): object {
  if (chain === null) return verdict;
  const epochs = logs.map(({ epoch, verdict }) => ({
    epoch,
    exit: verdict?.exit ?? null,
    says: verdict?.says ?? "nothing of it is here",
    size: verdict?.size ?? 0,
    root: verdict?.root ?? null,
    ...linkJson(chain, epoch),
  }));
  return { ...verdict, exit: chain.exit, says: chain.says, epochs };
}

function linkJson(chain: Chain, epoch: number): object {
  const link = chain.links.find((one) => one.epoch === epoch);
  return { joins: link?.joins ?? null, before: link?.before ?? null };
}

/** For people, below the newest epoch's own verdict. */
export function chainLines({ logs, chain }: Looked): string[] {
  if (chain === null) return [];
  return [
    ...logs.map(({ epoch, verdict }) => {
      const link = chain.links.find((one) => one.epoch === epoch);
      if (verdict === null) return `epoch      ${epoch}: nothing of it is here`;
      return `epoch      ${link?.says ?? epoch}; ${verdict.size} entries, ${verdict.says}`;
    }),
    `chain      ${chain.says}`,
  ];
}
