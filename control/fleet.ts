import { type Alarm, alarmText, readAlarms } from "./alarms.ts";
import { copiesOf } from "./copies.ts";
import { type ClusterRow, type CommandRow, nowSeconds, OPEN_STATES, type Sql } from "./store.ts";
import { table } from "./terminal.ts";
import { readWitnessed, type Witnessed } from "./witnessed.ts";

/** An agent polls at least this often; one that did not for so long is not heard from. */
export const SILENT_SECONDS = 120;

export type FleetCluster = {
  readonly cluster: string;
  readonly state: string;
  readonly reason: string | null;
  readonly epoch: number;
  /** Unix seconds. */
  readonly last_seen: number | null;
  readonly version: string | null;
  readonly trust_version: number;
  readonly open_commands: number;
  readonly entries: number;
  readonly witnessed: Witnessed;
  readonly alarms: readonly Alarm[];
};

export async function readFleet(sql: Sql): Promise<FleetCluster[]> {
  const rows = await sql.rows<ClusterRow>("select * from clusters order by cluster");
  const fleet: FleetCluster[] = [];
  for (const row of rows) {
    const alarms = await readAlarms(sql, row.cluster);
    const [log] = await sql.rows<{ size: number }>(
      "select size from logs where cluster = $1 and epoch = $2",
      row.cluster,
      row.epoch,
    );
    const copies = await copiesOf(sql, row);
    const open = (await readCommands(sql, row.cluster)).filter((command) => OPEN_STATES.includes(command.state));
    fleet.push({
      cluster: row.cluster,
      state: copies === null ? stateOf(row, open) : "fenced",
      reason: copies ?? (row.reason === "" ? null : row.reason),
      epoch: row.epoch,
      last_seen: row.last_seen,
      version: row.version,
      trust_version: row.trust_version,
      open_commands: open.length,
      entries: log?.size ?? 0,
      witnessed: await readWitnessed(sql, row.cluster, row.epoch),
      alarms,
    });
  }
  return fleet;
}

/** DESIGN section 9's states. */
export const FLEET_STATES = [
  "ready",
  "suspended by customer",
  "waiting for approval",
  "refusing everything",
  "not heard from",
  "never started",
  "fenced",
] as const;
export type FleetState = (typeof FLEET_STATES)[number];

/** Of a cluster whose identity only one holds. `open`: its commands that are not decided. */
export function stateOf(row: ClusterRow, open: readonly Pick<CommandRow, "state">[]): FleetState {
  if (row.epoch === 0) return "never started";
  if (row.last_seen === null || row.last_seen + SILENT_SECONDS < nowSeconds()) return "not heard from";
  if (row.state === "suspended") return "suspended by customer";
  if (row.state === "refusing") return "refusing everything";
  const waits = row.trust_waiting !== null || open.some(({ state }) => state === "waiting");
  return waits ? "waiting for approval" : "ready";
}

/** Newest first. What expired in the queue says so. */
export async function readCommands(sql: Sql, cluster: string): Promise<CommandRow[]> {
  const rows = await sql.rows<CommandRow>("select * from commands where cluster = $1 order by id desc", cluster);
  const now = nowSeconds();
  return rows.map((row) => (row.state === "queued" && row.exp <= now ? { ...row, state: "expired" as const } : row));
}

export function fleetText(fleet: readonly FleetCluster[]): string {
  if (fleet.length === 0) return "no cluster yet\n";
  const rows = fleet.map((one) => [
    one.cluster,
    one.state + (one.reason === null ? "" : ` (${one.reason})`),
    one.epoch === 0 ? "-" : String(one.epoch),
    one.last_seen === null ? "-" : `${Math.max(0, nowSeconds() - one.last_seen)} s ago`,
    String(one.open_commands),
  ]);
  const late = fleet.flatMap(({ cluster, witnessed: { missing } }) =>
    missing === null ? [] : [`${cluster}: no receipt of entry ${missing} and of what came after it`],
  );
  const alarms = [...late, ...fleet.flatMap((one) => one.alarms.map(alarmText))];
  return table([["cluster", "state", "epoch", "last seen", "open commands"], ...rows], alarms);
}

export function commandsText(rows: readonly CommandRow[]): string {
  if (rows.length === 0) return "no command yet\n";
  return table(
    [
      ["command", "resource", "state", "code"],
      ...rows.map((row) => [row.id, row.resource, row.state, row.code ?? "-"]),
    ],
    [],
  );
}
