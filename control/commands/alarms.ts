import type { Command } from "commander";
import { type Alarm, alarmText, type ClearedAlarm, clearAlarms, readAlarms, readClearedAlarms } from "../alarms.ts";
import { clusterName } from "../statement.ts";
import { printable } from "../terminal.ts";
import { withOperator } from "./operator.ts";
import { out, withStore } from "./state.ts";

type Options = { cluster?: string; clear?: string[]; cleared?: boolean; by: string; why: string };

/** `fleet` holds --dir and --json. */
export function addAlarms(fleet: Command): void {
  withOperator(
    fleet
      .command("alarms")
      .description("The alarms that stand; or clear those that you have looked at.")
      .option("--cluster <name>", "of this cluster only")
      .option("--clear <id...>", "clear these: each is kept, with who said so, when and why")
      .option("--cleared", "show those that were cleared"),
  ).action(async (options: Options) => {
    const { dir, json }: { dir: string; json?: boolean } = fleet.opts();
    const cluster = options.cluster === undefined ? null : clusterName(options.cluster);
    const { clear, cleared, by, why } = options;
    if (clear !== undefined) {
      const gone = await withStore(dir, (store) => clearAlarms(store, clear, by, why));
      return out(
        json ? `${JSON.stringify({ cleared: gone })}\n` : lines(gone.map((one) => `cleared: ${alarmText(one)}`)),
      );
    }
    if (cleared) {
      const gone = await withStore(dir, (store) => store.read((sql) => readClearedAlarms(sql, cluster)));
      return out(
        json ? `${JSON.stringify({ cleared: gone })}\n` : lines(gone.map(clearedText), "no alarm was cleared yet"),
      );
    }
    const standing: Alarm[] = await withStore(dir, (store) => store.read((sql) => readAlarms(sql, cluster)));
    out(json ? `${JSON.stringify({ alarms: standing })}\n` : lines(standing.map(alarmText), "no alarm stands"));
  });
}

function clearedText(alarm: ClearedAlarm): string {
  const at = new Date(alarm.cleared_at * 1000).toISOString();
  return `${alarmText(alarm)}\n  cleared ${at} by ${alarm.cleared_by}: ${alarm.cleared_why}`;
}

function lines(texts: readonly string[], none = ""): string {
  const all = texts.length === 0 ? [none] : texts.flatMap((text) => text.split("\n"));
  return `${all.map(printable).join("\n")}\n`;
}
