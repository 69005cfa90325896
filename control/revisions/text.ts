import { timeText } from "../../policy/duration.ts";
import { shortDigest } from "../../policy/names.ts";
import { printable, table } from "../terminal.ts";
import type { Revision } from "./read.ts";
import type { ClusterState } from "./state.ts";

/** What a revision is, in one line: what was asked, and how it went where it did not succeed. */
function whatOf({ action, asked, result, digest }: Revision): string {
  const how = result === "succeeded" ? "" : ` (${result})`;
  switch (action) {
    case "import":
      return `manifest ${shortDigest(digest ?? "none")}`;
    case "scale":
      return `scale ${String(asked["group"])} to ${String(asked["count"])}${how}`;
    case "deploy":
      return `deploy ${String(asked["group"])} to ${shortDigest(String(asked["manifest"]))}${how}`;
    case "update-dns":
      return `${String(asked["change"])} ${String(asked["name"])} ${String(asked["type"])}${how}`;
    case "issue-certificate":
      return `certificate from ${String(asked["authority"])}${how}`;
    default:
      return `${action}${how}`;
  }
}

export function whenText(at: number): string {
  return timeText(at * 1000);
}

/** Where the customer's log says so. */
function entryText({ epoch, entry }: Revision): string {
  return entry === null ? "-" : `${epoch}/${entry}`;
}

export function historyText(rows: readonly Revision[]): string {
  if (rows.length === 0) return "no revision yet\n";
  const lines = rows.map((row) => [
    String(row.position),
    whenText(row.at),
    whatOf(row),
    entryText(row),
    row.said_by,
    row.why,
  ]);
  return table([["N", "SINCE", "WHAT", "EPOCH/ENTRY", "BY", "WHY"], ...lines], []);
}

/** A cluster at one moment. `checksum`: of the manifest's content; null where no manifest is known. */
export function stateText(newest: Revision, checksum: string | null, state: ClusterState): string {
  const { position, at, said_by, why, digest, cluster } = newest;
  const lines = [
    `cluster   ${cluster}`,
    `revision  ${position}, since ${whenText(at)}: ${whatOf(newest)}`,
    `by        ${said_by}: ${why}`,
    `entry     ${entryText(newest)}`,
    `manifest  ${digest ?? "none is known here"}`,
    `checksum  ${checksum ?? "-"}`,
    ...Object.entries(state.groups).map(
      ([group, { image, count }]) => `group     ${group}: ${count ?? "?"} of ${image ?? "an image that is not known"}`,
    ),
    ...Object.entries(state.records).map(
      ([record, { values, ttl }]) => `record    ${record}: ${values.join(" ")} ttl ${ttl}s`,
    ),
    ...Object.entries(state.certificates).map(
      ([authority, { issued, newest: last }]) => `authority ${authority}: ${issued} issued, newest ${last ?? "?"}`,
    ),
  ];
  return lines.map((line) => `${printable(line)}\n`).join("");
}
