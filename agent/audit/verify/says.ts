import type { Damage, Progress, VerifyExit, Witnessed } from "./verdict.ts";

export function damageText({ kind, index, to, file, line, what, because }: Damage): string {
  const entries = to > index ? `entries ${index} to ${to}` : `entry ${index}`;
  const where = line === null ? file : `${file} line ${line}`;
  return `damaged: ${kind} at ${entries}, ${where}: ${because} (${what})`;
}

export function missingText({ missing, tree }: Pick<Progress, "missing" | "tree">): string {
  const ranges = missing.map(({ from, to }) => (to - from === 1 ? `${from}` : `${from} to ${to - 1}`));
  return `incomplete: entries ${ranges.join(", ")} of ${tree.size} are not in this folder; what is here is whole`;
}

export function unvouchedText(unvouched: string | null): string {
  return `cannot tell whose log this is: ${unvouched ?? "no line that names its key is here"}; a key that lies beside the log proves nothing`;
}

export function witnessText(exit: VerifyExit, { asked }: Pick<Progress, "asked">, seen: readonly Witnessed[]): string {
  const of = exit === 0 ? "owner" : "control-plane";
  const best = seen.filter((one) => exit === 11 || one.of === of).reduce<Witnessed | null>(larger, null);
  if (exit !== 11) {
    const words = exit === 0 ? "beyond the control plane" : "by the control plane only";
    return `whole, and witnessed ${words}: ${best?.name} cosigned ${best?.size} entries at ${best?.at}`;
  }
  if (best === null || best.size === 0)
    return "whole as far as it goes, but nobody has witnessed it: whoever holds the machine could have cut off the newest entries, and signed again";
  if (best.size >= asked)
    return `whole as far as it goes, but nobody has witnessed it as late as the moment that was asked about: ${best.name} cosigned ${best.size} entries at ${best.at}, and what was written since could have been cut off`;
  return `whole as far as it goes, but its newest ${asked - best.size} entries could have been cut off or written anew: ${best.name} cosigned ${best.size} entries at ${best.at}, and nobody more`;
}

function larger(one: Witnessed | null, other: Witnessed): Witnessed {
  return one !== null && one.size >= other.size ? one : other;
}
