import { started } from "../book.ts";
import { type Case, must, refused, Unmet } from "../case.ts";
import { Silent } from "../line.ts";
import type { Speaker } from "../speaker.ts";
import type { World } from "../world.ts";

const SECTION = "Agents' listener (client certificate required)";

type Replaced = { readonly speaker: Speaker; readonly older: string; readonly newer: string };
/** An agent of which a second process has taken the first one's place. */
async function replaced(world: World): Promise<Replaced> {
  const speaker = await world.begun();
  const [older, newer] = [speaker.newProcess(), speaker.newProcess()];
  await speaker.poll(await speaker.line(), older, { take: 0 });
  await speaker.poll(await speaker.line(), newer, { take: 0 });
  return { speaker, older, newer };
}

export const COPY_CASES: readonly Case[] = [
  {
    id: "copy-process-late",
    section: SECTION,
    expects: "a replaced process, on a connection from before its replacement, is turned away and nobody is fenced",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      const [older, newer] = [speaker.newProcess(), speaker.newProcess()];
      const [before, after] = [await speaker.line(), await speaker.line()];
      await speaker.poll(before, older, { take: 0 });
      await speaker.poll(after, newer, { take: 0 });
      const seen = refused(await speaker.polled(before, older, { take: 0 }), "unavailable", "certificate");
      await speaker.poll(await speaker.line(), newer, { take: 0 });
      return `${seen}; the newer goes on`;
    },
  },
  {
    id: "copy-process",
    section: SECTION,
    expects: "a replaced process on a connection that was made after its replacement is a copy's: `fenced`, for both",
    core: true,
    async run(world) {
      const { speaker, older, newer } = await replaced(world);
      refused(await speaker.polled(await speaker.line(), older, { take: 0 }), "fenced");
      return `${refused(await speaker.polled(await speaker.line(), newer, { take: 0 }), "fenced")} for both`;
    },
  },
  {
    id: "copy-process-held",
    section: SECTION,
    expects:
      "a replaced process's held poll is ended, by `unavailable` or `certificate` or by the end of the connection",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      const [older, newer] = [speaker.newProcess(), speaker.newProcess()];
      const before = await speaker.line();
      await speaker.poll(before, older, { take: 0 });
      const held = speaker.polled(before, older, { hold: 60 }).then(
        (answer) => refused(answer, "unavailable", "certificate"),
        (error: unknown) => {
          if (error instanceof Silent) return "the end of the connection";
          throw error;
        },
      );
      const comes = async () => speaker.poll(await speaker.line(), newer, { take: 0 });
      const [seen] = await Promise.all([held, comes()]);
      return seen;
    },
  },
  {
    id: "copy-shorter",
    section: SECTION,
    expects: "a checkpoint shorter than one that was seen before its connection is a copy's: `fenced`",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      speaker.book.add(started(speaker.newProcess()));
      await speaker.handIn(await speaker.line());
      const checkpoint = speaker.book.head(1);
      return refused(await speaker.polled(await speaker.line(), speaker.newProcess(), { checkpoint }), "fenced");
    },
  },
  {
    id: "copy-shorter-late",
    section: SECTION,
    expects:
      "on a connection from before the longer one was seen, a process with a shorter checkpoint takes no place, and nobody is fenced",
    core: true,
    async run(world) {
      const speaker = await world.begun();
      const early = await speaker.line();
      const checkpoint = speaker.book.head(1);
      const line = await speaker.line();
      speaker.book.add(started(speaker.newProcess()));
      await speaker.handIn(line);
      const answer = await speaker.polled(early, speaker.newProcess(), { checkpoint });
      const seen = refused(answer, "unavailable", "certificate");
      await speaker.poll(line, speaker.newProcess(), { take: 0 });
      return seen;
    },
  },
  {
    id: "copy-no-command",
    section: SECTION,
    expects: "once fenced, no command leaves for this epoch",
    core: true,
    async run(world) {
      const { speaker, older, newer } = await replaced(world);
      refused(await speaker.polled(await speaker.line(), older, { take: 0 }), "fenced");
      const { cluster } = speaker;
      const args = { group: "a", count: 1 };
      try {
        await world.driver.send(cluster, { action: "scale", args, seconds: 60, dry_run: false });
      } catch (error) {
        // A driver may say that a fenced cluster is sent nothing.
        if (!(error instanceof Unmet)) throw error;
      }
      return refused(await speaker.polled(await speaker.line(), newer), "fenced");
    },
  },
  {
    id: "copy-unfence",
    section: "Who acts",
    expects:
      "the operator's word has an earlier epoch act again, and fences the one that acted; the next enrolment is above both",
    core: false,
    async run(world) {
      const first = await world.begun();
      const second = await world.begun(first.cluster);
      await world.driver.unfence(first.cluster, first.epoch);
      await first.poll(await first.line(), first.newProcess(), { take: 0 });
      const seen = refused(await second.polled(await second.line(), second.newProcess()), "fenced");
      const third = await world.begun(first.cluster);
      must(third.epoch > second.epoch, `epoch ${third.epoch} came after ${second.epoch}`);
      return `${seen} for epoch ${second.epoch}; then epoch ${third.epoch}`;
    },
  },
];
