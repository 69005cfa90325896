import type { Comparison, ShownCall, ShownRow } from "../audit/reconcile/compare.ts";
import type { Ledger } from "../audit/reconcile/ledger.ts";
import { timeText } from "../audit/time.ts";
import type { Source } from "./reconcileSources.ts";

/** What lay in the folder. `ignored`: files of another kind, by their names' ends; a few of them by name. */
export type Files = {
  events: number;
  digests: number;
  ignored: number;
  readonly names: string[];
};
/** What was looked at. */
export type Looked = {
  readonly folder: string;
  readonly source: Source;
  readonly ledger: Ledger;
  readonly files: Files;
  readonly from: number | undefined;
  readonly to: number | undefined;
};

/** The result as text; every word of the cloud's and the caller's is still to be made printable. */
export function reconcileLines(compared: Comparison, looked: Looked): string[] {
  const { explained, unexplained, missing } = compared;
  return [
    ...headLines(compared, looked),
    `matched    ${explained.matched}  by request id to an operation of an outcome`,
    `reads      ${explained.read}  of a command, which their user agent names, while it was dealt with`,
    `checks     ${explained.check}  by the agent, of its own identity`,
    `doctor     ${explained.doctor}  reads that nothing but their user agent says were doctor's`,
    `inventory  ${explained.inventory}  reads that nothing but their user agent says were of what the policy shares`,
    `answers    ${explained.answer}  that the log does not have, to calls of which it has the intent`,
    ...callLines("answer", compared.answers),
    ...callLines("unexplained", unexplained),
    ...rowLines(missing),
    ...remarks(compared, looked).map((text) => `remark     ${text}`),
    `verdict    ${unexplained.count} unexplained, ${missing.count} missing`,
  ];
}

function headLines(
  { trail, calls, operations }: Comparison,
  { folder, source, ledger, files, from, to }: Looked,
): string[] {
  const time = (one: number | null | undefined, none: string): string =>
    one === null || one === undefined ? none : timeText(one);
  const passed = [
    `${files.digests} digest files`,
    `${trail.summaries} insights`,
    `${trail.duplicates} delivered twice`,
    `${trail.outside} outside the period`,
  ];
  return [
    `trail      ${source.directory}: ${trail.events} events in ${files.events} files, from ${trail.first ?? "-"} to ${trail.last ?? "-"}`,
    `passed by  ${passed.join(", ")}, ${files.ignored} other files${files.names.map((name) => ` ${name}`).join("")}`,
    `log        ${folder}: ${ledger.entries} entries, from ${time(ledger.oldest, "-")} to ${time(ledger.newest, "-")}`,
    `period     ${time(from, "the beginning")} to ${time(to, "now")}`,
    `looked at  ${calls} calls by ${source.who}, ${operations} operations with a request id`,
  ];
}

function callLines(kind: string, { count, shown }: Comparison["unexplained"]): string[] {
  const lines = shown.flatMap((call) => [`${kind.padEnd(10)} ${callText(call)}`, `           ${call.why}`]);
  return count > shown.length ? [...lines, `           and ${count - shown.length} more`] : lines;
}

function callText(call: ShownCall): string {
  const facts = [
    call.time,
    call.operation,
    call.resources.join(" ") || "-",
    `request ${call.request ?? "none"}`,
    `event ${call.event}`,
    `${call.region} from ${call.address || "-"}`,
    `error ${call.error ?? "none"}`,
    `as ${call.principal}`,
    `agent "${call.user_agent}"`,
    ...(call.command === null ? [] : [`command ${call.command}`]),
  ];
  return facts.join("  ");
}

function rowLines({ count, shown }: Comparison["missing"]): string[] {
  const lines = shown.map(
    (row: ShownRow) =>
      `missing    entry ${row.entry}  ${row.time}  ${row.operation}  ${row.resource}  request ${row.request}  status ${row.status}  command ${row.command}`,
  );
  return count > shown.length ? [...lines, `           and ${count - shown.length} more`] : lines;
}

function remarks(compared: Comparison, { ledger, source }: Looked): string[] {
  const { absent, trail, missing, unexplained, answers, addresses, calls, operations } = compared;
  const last = trail.last === null ? null : Temporal.Instant.from(trail.last).epochMilliseconds;
  const first = trail.first === null ? null : Temporal.Instant.from(trail.first).epochMilliseconds;
  const early = first !== null && ledger.oldest !== null && ledger.oldest < first;
  const late = last !== null && ledger.newest !== null && ledger.newest > last;
  return [
    ...(answers.doubtful === 0
      ? []
      : [`${answers.doubtful} answers do not show all that was asked: look at each, it may be somebody else's change`]),
    ...(absent.edge === 0
      ? []
      : [
          `${absent.edge} operations within 15 minutes of an end of the period are not there yet: ${source.title} delivers late`,
        ]),
    ...(absent.failed === 0
      ? []
      : [`${absent.failed} operations failed before ${source.title} had to record them, and are not there`]),
    ...(trail.reads
      ? []
      : [`this trail holds no reads at all: ${absent.reads} operations that only read were not looked for`]),
    ...(trail.reads && absent.reads > 0
      ? [`${absent.reads} operations that only read were not looked for: ${source.title} holds no reads of these`]
      : []),
    ...(missing.count > 0 && early
      ? [`the log begins before the trail: for what both cover, --from ${trail.first}`]
      : []),
    ...(missing.count > 0 && late ? [`the log goes on after the trail: for what both cover, --to ${trail.last}`] : []),
    ...(unexplained.count > 0 && first !== null && ledger.oldest !== null && first < ledger.oldest
      ? [`the log begins at ${timeText(ledger.oldest)}: calls before it are of a log that is not here`]
      : []),
    ...(addresses.length === 0
      ? []
      : [
          `only their user agent speaks for calls from ${addresses.join(", ")}: none of those with a request id came from there`,
        ]),
    ...(calls === 0 && operations === 0 ? ["there was nothing to compare: is it the right role?"] : []),
    `whether the log itself is whole, \`reeve audit verify\` says; ${source.whole}`,
  ];
}
