import type { Command } from "commander";
import { membersOf, summaries, summaryOf } from "../rollout/read.ts";
import { abort, pause, resume, rollback } from "../rollout/steer.ts";
import { listText, membersText, summaryText } from "../rollout/text.ts";
import type { Sql } from "../store.ts";
import { addDrive } from "./rolloutDrive.ts";
import { rolloutId } from "./rolloutId.ts";
import { addStart } from "./rolloutStart.ts";
import { out, withStore } from "./state.ts";

export function addRollout(top: Command): void {
  const rollout = top
    .command("rollout")
    .description("Take a manifest's content to many clusters, lane by lane: docs/ROLLOUTS.md.");
  addStart(rollout);
  addDrive(rollout);
  addReading(rollout);
  steering(rollout, "pause", "Send nothing new, and take back what nobody has begun.", async (sql, id) => {
    await pause(sql, id);
    return "paused";
  });
  steering(rollout, "resume", "Go on with a rollout that was paused.", async (sql, id) => {
    await resume(sql, id);
    return "running";
  });
  steering(rollout, "abort", "End it: what is there stays, nothing more is sent.", async (sql, id) => {
    await abort(sql, id);
    return "aborted";
  });
  steering(
    rollout,
    "rollback",
    "Take every cluster that was touched back to the manifest that it had, lane by lane.",
    async (sql, id) => `going back in ${await rollback(sql, id)} clusters`,
  );
}

type Flags = { dir: string; json?: boolean };
function steering(rollout: Command, verb: string, words: string, act: (sql: Sql, id: number) => Promise<string>): void {
  rollout
    .command(verb)
    .description(words)
    .argument("<id>", "the rollout's number", rolloutId)
    .requiredOption("--dir <folder>", "the control plane's folder")
    .option("--json", "print JSON")
    .action(async (id: number, options: Flags) => {
      const { said, summary } = await withStore(options.dir, (store) =>
        store.transaction(async (sql) => ({ said: await act(sql, id), summary: await summaryOf(sql, id) })),
      );
      out(options.json ? `${JSON.stringify(summary)}\n` : `rollout ${id}: ${said}\n`);
    });
}

function addReading(rollout: Command): void {
  rollout
    .command("list")
    .description("Every rollout, newest first.")
    .requiredOption("--dir <folder>", "the control plane's folder")
    .option("--json", "print JSON")
    .action(async (options: Flags) => {
      const all = await withStore(options.dir, (store) => store.read(summaries));
      out(options.json ? `${JSON.stringify({ rollouts: all })}\n` : listText(all));
    });
  rollout
    .command("status")
    .description("One rollout: its lanes, and how many clusters are how.")
    .argument("<id>", "the rollout's number", rolloutId)
    .requiredOption("--dir <folder>", "the control plane's folder")
    .option("--clusters", "each cluster, with why it is so")
    .option("--in <states...>", "with --clusters: only those in these states")
    .option("--json", "print JSON")
    .action(async (id: number, options: Flags & { clusters?: boolean; in?: string[] }) => {
      const { summary, members } = await withStore(options.dir, (store) =>
        store.read(async (sql) => ({
          summary: await summaryOf(sql, id),
          members: options.clusters ? await membersOf(sql, id, options.in ?? []) : null,
        })),
      );
      const json = members === null ? summary : { ...summary, members };
      out(options.json ? `${JSON.stringify(json)}\n` : `${summaryText(summary)}${membersText(members ?? [])}`);
    });
}
