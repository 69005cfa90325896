import { setTimeout as wait } from "node:timers/promises";
import { type Case, must, refused } from "../case.ts";
import { inHand, none, polling, scale } from "./polls.ts";

const SECTION = "Agents' listener (client certificate required)";

export const ENDING_CASES: readonly Case[] = [
  {
    id: "poll-cancel",
    section: SECTION,
    expects: "an id that was taken back after it was handed out stands in `cancel`",
    core: true,
    async run(world) {
      const { speaker, line, process, id } = await inHand(world);
      await world.driver.cancel(id);
      const { cancel } = await speaker.poll(line, process);
      must(cancel.includes(id), `cancel: ${JSON.stringify(cancel)}`);
      speaker.book.add({ kind: "cancelled", command: id });
      await speaker.handIn(line);
      must((await world.driver.state(id)).state === "cancelled", "its entry did not end it");
      return "in `cancel`, then cancelled";
    },
  },
  {
    id: "poll-cancel-queued",
    section: SECTION,
    expects: "what was taken back while it was queued never leaves",
    core: true,
    async run(world) {
      const { speaker, line, process } = await polling(world);
      const id = await world.driver.send(speaker.cluster, scale("a", 1));
      await world.driver.cancel(id);
      none(await speaker.poll(line, process), "after it was taken back");
      return (await world.driver.state(id)).state;
    },
  },
  {
    id: "poll-expired",
    section: "Commands",
    expects: "what expired while it was queued never leaves, and its state is `expired`",
    core: true,
    async run(world) {
      const { speaker, line, process } = await polling(world);
      const id = await world.driver.send(speaker.cluster, scale("a", 1, 1));
      await wait(2500);
      none(await speaker.poll(line, process), "past its end");
      const { state } = await world.driver.state(id);
      must(state === "expired", `its state is ${state}`);
      return state;
    },
  },
  {
    id: "poll-new-epoch",
    section: "Commands",
    expects:
      "what the agent before was to get is not handed to the one that took its place: `expired`, and `unknown` what it had in hand",
    core: true,
    async run(world) {
      const { speaker, id } = await inHand(world);
      const queued = await world.driver.send(speaker.cluster, scale("b", 1));
      const next = await world.begun(speaker.cluster);
      none(await next.poll(await next.line(), next.newProcess()), "of an epoch before");
      const states = [(await world.driver.state(id)).state, (await world.driver.state(queued)).state];
      must(states.join() === "unknown,expired", `their states are ${states.join(" and ")}`);
      return states.join(", ");
    },
  },
  {
    id: "poll-other-epoch",
    section: SECTION,
    expects: "a poll that names another epoch than its certificate's is `malformed`",
    core: true,
    async run(world) {
      const { speaker, line, process } = await polling(world);
      return refused(await speaker.polled(line, process, { epoch: speaker.epoch + 1 }), "malformed");
    },
  },
  {
    id: "poll-malformed",
    section: "Faults",
    expects: "an unknown field, a field that is missing and text that is no JSON are `malformed`",
    core: true,
    async run(world) {
      const { speaker, line, process } = await polling(world);
      const seen = [refused(await speaker.polled(line, process, { more: 1 } as object), "malformed")];
      seen.push(refused(await line.ask("/v1/commands", { process }), "malformed"));
      seen.push(refused(await line.ask("/v1/commands", "{"), "malformed"));
      return seen.join(", ");
    },
  },
];
