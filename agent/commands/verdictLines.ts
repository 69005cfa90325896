import { COULD_NOT_LOOK, type Verdict, type Witnessed } from "../audit/verify/verdict.ts";

/** A verdict in lines, for people. `beside`: where the machine itself keeps a CA. */
export function verdictLines(folder: string, verdict: Verdict, beside: string | null): string[] {
  const { checkpoints, vouched, damage } = verdict;
  const kinds = Object.entries(verdict.kinds).map(([kind, number]) => `${number} ${kind}`);
  const head = checkpoints.newest;
  const lines = [
    `log        ${verdict.origin ?? folder}`,
    `looked at  ${verdict.size - verdict.from} entries in ${verdict.segments} segments, ${verdict.bytes} bytes: ${kinds.join(", ") || "none"}`,
    `time       ${verdict.oldest ?? "-"} to ${verdict.newest ?? "-"}`,
    `root       ${verdict.root ?? "unknown, for entries are missing"}`,
    `heads      ${checkpoints.checked} checkpoints signed by the log's key hold${head === null ? "" : `, the newest of size ${head.size} at ${head.time}`}`,
    `key        ${vouched === null ? `${verdict.key ?? "unknown"}: vouched for by nobody (${verdict.unvouched ?? "-"})` : `${verdict.key}: vouched for by ${vouched.by}, SHA-256 ${vouched.sha256}`}`,
    ...(verdict.witnesses.length === 0 ? ["witnesses  none was given"] : verdict.witnesses.map(witnessLine)),
    ...verdict.open.map(({ command, intent }) => `open       command ${command}: intent ${intent} has no outcome yet`),
    ...verdict.remarks.map((remark) => `remark     ${remark}`),
    `verdict    ${verdict.says}`,
  ];
  if (damage !== null)
    return [
      ...lines,
      `hint: Keep the folder as it is. Compare entry ${damage.index} with what was handed to the control plane, and with a copy: --against FOLDER.`,
    ];
  if (verdict.exit !== COULD_NOT_LOOK) return lines;
  const where =
    beside === null ? "" : ` The one in ${beside} lies in the same state folder, and proves nothing to a third party.`;
  return [...lines, `hint: Give the vendor's root CA, from elsewhere than this machine: --ca FILE.${where}`];
}

export function witnessLine({ name, of, size, at }: Witnessed): string {
  const who = of === "owner" ? name : `${name} (the control plane's)`;
  return `witness    ${who}: ${size === 0 ? "no head that holds is cosigned by it" : `the first ${size} entries, at ${at}`}`;
}
