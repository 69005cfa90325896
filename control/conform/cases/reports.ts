import { MAX_ENTRIES_PER_REPORT } from "../../../agent/limits.ts";
import { ReportAnswer } from "../../../agent/wire/protocol.ts";
import { intent, outcome, started } from "../book.ts";
import { type Case, must, refused, taken } from "../case.ts";
import type { Answer, Line } from "../line.ts";
import type { Speaker } from "../speaker.ts";
import type { World } from "../world.ts";
import { scale } from "./polls.ts";

const SECTION = "Agents' listener (client certificate required)";

export type Reporting = { readonly speaker: Speaker; readonly line: Line };
/** An agent that has handed in so many lines after entry 0. */
export async function reporting(world: World, more = 0): Promise<Reporting> {
  const speaker = await world.begun();
  for (let at = 0; at < more; at++) speaker.book.add(started(speaker.newProcess()));
  const line = await speaker.line();
  if (more > 0) await speaker.handIn(line);
  return { speaker, line };
}

export function wants(answer: Answer, next: number): void {
  const said = taken(answer, ReportAnswer).next;
  must(said === next, `${said} is wanted next, not ${next}`);
}

/** What is wanted next, asked by an empty report. */
export async function stillWants({ speaker, line }: Reporting, next: number): Promise<void> {
  wants(await speaker.reported(line, next, [], speaker.book.head(next)), next);
}

export const REPORT_CASES: readonly Case[] = [
  {
    id: "report-empty",
    section: SECTION,
    expects: "an empty report asks what is wanted next: 0, and after entries the next index",
    core: true,
    async run(world) {
      const speaker = await world.enrolled();
      const line = await speaker.line();
      wants(await speaker.reported(line, 0, []), 0);
      await speaker.handIn(line);
      wants(await speaker.reported(line, 1, []), 1);
      return "0, then 1";
    },
  },
  {
    id: "report-again",
    section: SECTION,
    expects: "the same bytes again are taken, alone and with new ones behind them",
    core: true,
    async run(world) {
      const { speaker, line } = await reporting(world, 2);
      wants(await speaker.reported(line, 0, speaker.book.lines), 3);
      speaker.book.add(started(speaker.newProcess()));
      wants(await speaker.reported(line, 1, speaker.book.lines.slice(1)), 4);
      return "3, then 4";
    },
  },
  {
    id: "report-gap",
    section: SECTION,
    expects: "entries that begin beyond what is wanted are not taken; the answer says what is wanted",
    core: true,
    async run(world) {
      const { speaker, line } = await reporting(world);
      for (let at = 0; at < 3; at++) speaker.book.add(started(speaker.newProcess()));
      wants(await speaker.reported(line, 2, speaker.book.lines.slice(2)), 1);
      await speaker.handIn(line);
      return "1 was wanted still, then all were taken";
    },
  },
  {
    id: "report-changed",
    section: SECTION,
    expects:
      "other bytes for an entry that was handed in are `fenced`, and so is everything of this epoch from then on",
    core: true,
    async run(world) {
      const { speaker, line } = await reporting(world, 2);
      const lines = [...speaker.book.lines];
      lines[1] = (lines[1] ?? "").replace('"kind":"started"', '"kind":"started" ');
      const seen = refused(await speaker.reported(line, 0, lines), "fenced");
      refused(await speaker.polled(await speaker.line(), speaker.newProcess()), "fenced");
      return seen;
    },
  },
  {
    id: "report-whole-or-not",
    section: SECTION,
    expects: "when one entry of a report is not of its form, index, cluster or epoch, none is written",
    core: true,
    async run(world) {
      const { speaker, line } = await reporting(world);
      const { lines } = speaker.book;
      speaker.book.add(started(speaker.newProcess()));
      const good = speaker.book.add(started(speaker.newProcess()));
      const kept = lines[good] ?? "";
      const bad = ['"epoch":', '"index":', '"v":'].map((name) => kept.replace(name, `${name}7`));
      bad.push(kept.replace('"kind":"started"', '"kind":"unheard-of"'), kept.slice(0, -1));
      for (const text of bad) {
        lines[good] = text;
        refused(await speaker.reported(line, 1, lines.slice(1)), "malformed");
        await stillWants({ speaker, line }, 1);
      }
      lines[good] = kept;
      await speaker.handIn(line);
      return `${bad.length} refused, then all taken`;
    },
  },
  {
    id: "report-too-many",
    section: SECTION,
    expects: `${MAX_ENTRIES_PER_REPORT} entries in one report are taken, one more is \`malformed\``,
    core: true,
    async run(world) {
      const { speaker, line } = await reporting(world);
      for (let at = 0; at <= MAX_ENTRIES_PER_REPORT; at++) speaker.book.add(started(speaker.newProcess()));
      const most = speaker.book.lines.slice(1);
      const seen = refused(await speaker.reported(line, 1, most), "malformed");
      wants(await speaker.reported(line, 1, most.slice(0, -1)), MAX_ENTRIES_PER_REPORT + 1);
      return `${seen}, then ${MAX_ENTRIES_PER_REPORT} taken`;
    },
  },
  {
    id: "report-outcome",
    section: "Commands",
    expects: "entries lead a command through handed-out and intent to `succeeded`",
    core: true,
    async run(world) {
      const { speaker, line } = await reporting(world);
      const id = await world.driver.send(speaker.cluster, scale("a", 1));
      const seen = [(await world.driver.state(id)).state];
      const look = async () => seen.push((await world.driver.state(id)).state);
      const [jws] = (await speaker.poll(line, speaker.newProcess())).commands;
      must(jws !== undefined, "it was not handed out");
      await look();
      const at = speaker.book.add(intent(jws));
      await speaker.handIn(line);
      await look();
      speaker.book.add(outcome(jws, at, "succeeded"));
      await speaker.handIn(line);
      await look();
      must(seen.join() === "queued,handed-out,intent,succeeded", `its states were ${seen.join(", ")}`);
      return seen.join(", ");
    },
  },
];
