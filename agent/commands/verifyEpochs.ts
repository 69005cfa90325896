import { type Chain, CURRENT_ABSENT, chainOf, type EpochLog, epochsBelow } from "../audit/verify/epochs.ts";
import { epochOf, nameOf } from "../audit/verify/links.ts";
import type { Verdict } from "../audit/verify/verdict.ts";
import { type Given, verifyLog } from "../audit/verify.ts";
import type { Disk } from "../host/host.ts";

/** `verdict`: of the newest epoch that is here. `chain`: null where there are no epochs before it. */
export type Looked = { readonly verdict: Verdict; readonly logs: readonly EpochLog[]; readonly chain: Chain | null };

/**
 * The log in a folder, and those of the epochs before that lie below it as `epoch-N`: each by itself, then as one chain. What is held against
 * another copy is the log in the folder; where there is none, the newest that there is. `current`: the epoch that the folder itself must be
 * of, where that is known.
 */
export async function verifyEpochs(
  disk: Disk,
  folder: string,
  given: Given,
  current: number | null = null,
): Promise<Looked> {
  const below = epochsBelow(disk, folder);
  const own = await verifyLog(disk, folder, given);
  const isOther = current !== null && own.origin !== null && epochOf(own.origin) !== current;
  if (below.length === 0 && !isOther) return { verdict: own, logs: [], chain: null };
  const logs: EpochLog[] = [];
  // Newest first: the first that is there takes the current one's place before `--against`.
  let against = own.absent ? (given.against ?? null) : null;
  for (const { epoch, folder: there } of below.toReversed()) {
    const verdict = await verifyLog(disk, there, { ...given, with: [], against });
    if (!verdict.absent) against = null;
    logs.unshift({ epoch, folder: there, verdict: verdict.absent ? null : verdict });
  }
  logs.push({ epoch: current ?? epochOf(own.origin), folder, verdict: own.absent ? null : own });
  const newest = logs.findLast(({ verdict }) => verdict !== null)?.verdict;
  if (newest == null) return { verdict: own, logs: [], chain: null };
  return { verdict: newest, logs, chain: chainOf(disk, logs) };
}

const ABSENT = "nothing of it is here";

export function chainJson({ verdict, logs, chain }: Looked): object {
  if (chain === null) return verdict;
  const epochs = logs.map(({ epoch, folder, verdict }, at) => ({
    epoch,
    exit: verdict?.exit ?? null,
    says: verdict?.says ?? (at === logs.length - 1 ? CURRENT_ABSENT : ABSENT),
    size: verdict?.size ?? 0,
    root: verdict?.root ?? null,
    damage: verdict?.damage ?? null,
    ...linkJson(chain, folder),
  }));
  return { ...verdict, exit: chain.exit, says: chain.says, epochs };
}

function linkJson(chain: Chain, folder: string): object {
  const link = chain.links.find((one) => one.folder === folder);
  return { joins: link?.joins ?? null, before: link?.before ?? null, link: link?.says ?? null };
}

/** For people, below the newest epoch's own verdict. */
export function chainLines({ logs, chain }: Looked): string[] {
  if (chain === null) return [];
  return [
    ...logs.map(({ epoch, folder, verdict }, at) => {
      const link = chain.links.find((one) => one.folder === folder);
      if (verdict === null)
        return `epoch      ${at === logs.length - 1 ? CURRENT_ABSENT : `${nameOf(epoch)}: ${ABSENT}`}`;
      return `epoch      ${link?.says ?? nameOf(epoch)}; ${verdict.size} entries, ${verdict.says}`;
    }),
    `chain      ${chain.says}`,
  ];
}
