import { setTimeout as wait } from "node:timers/promises";
import { ID_TIME_MAX_SECONDS } from "../../../agent/limits.ts";
import { CommandClaims } from "../../../agent/wire/command.ts";
import { open } from "../../../agent/wire/envelope.ts";
import { timeOfId } from "../../../agent/wire/names.ts";
import { parse } from "../../../agent/wire/parse.ts";
import type { PollAnswer } from "../../../agent/wire/protocol.ts";
import { isRefusal } from "../../../policy/refusal.ts";
import { refusal } from "../book.ts";
import { type Case, must } from "../case.ts";
import type { Wish } from "../driver.ts";
import { jsonOf, type Line } from "../line.ts";
import type { Speaker } from "../speaker.ts";
import type { World } from "../world.ts";

const SECTION = "Agents' listener (client certificate required)";
const HOLD_SECONDS = 40;

export function scale(group: string, count: number, seconds = 600): Wish {
  return { action: "scale", args: { group, count }, seconds, dry_run: false };
}

function idOf(jws: string): string {
  const claims = jsonOf(Buffer.from(jws.split(".")[1] ?? "", "base64url").toString()) as { jti?: unknown } | undefined;
  return String(claims?.jti);
}

function only(answer: PollAnswer, id: string): string {
  const [jws] = answer.commands;
  const ids = answer.commands.map(idOf);
  must(jws !== undefined && ids.length === 1 && ids[0] === id, `commands that came: ${ids.join(", ") || "none"}`);
  return jws;
}

export function none(answer: PollAnswer, why: string): void {
  must(answer.commands.length === 0, `${answer.commands.length} commands came ${why}`);
}

type Polling = { readonly speaker: Speaker; readonly line: Line; readonly process: string };
export async function polling(world: World): Promise<Polling> {
  const speaker = await world.begun();
  const line = await speaker.line();
  const process = speaker.newProcess();
  none(await speaker.poll(line, process), "of themselves");
  return { speaker, line, process };
}

/** A command that was handed out to this process, and that no entry names. */
export async function inHand(world: World): Promise<Polling & { readonly id: string; readonly jws: string }> {
  const at = await polling(world);
  const id = await world.driver.send(at.speaker.cluster, scale("a", 1));
  return { ...at, id, jws: only(await at.speaker.poll(at.line, at.process), id) };
}

export const POLL_CASES: readonly Case[] = [
  {
    id: "poll-before-entry-0",
    section: SECTION,
    expects: "before entry 0 was handed in no command leaves; afterwards it does",
    core: true,
    async run(world) {
      const speaker = await world.enrolled();
      const line = await speaker.line();
      const process = speaker.newProcess();
      const id = await world.driver.send(speaker.cluster, scale("a", 1));
      none(await speaker.poll(line, process), "before entry 0");
      await speaker.handIn(line);
      only(await speaker.poll(line, process), id);
      return "none, then one";
    },
  },
  {
    id: "poll-command-form",
    section: "Commands",
    expects:
      "a command is a JWS of the one form, canonical, for this agent and epoch, with an id of its own time, by a key that the statements name",
    core: true,
    async run(world) {
      const { speaker, line, process } = await polling(world);
      const id = await world.driver.send(speaker.cluster, scale("a", 1));
      const answer = await speaker.poll(line, process, { trust_version: 0 });
      const jws = only(answer, id);
      const statement = jsonOf(Buffer.from(answer.trust.at(-1)?.split(".")[1] ?? "", "base64url").toString()) as {
        command_keys: { kid: string; x: string }[];
      };
      const keys = new Map(statement.command_keys.map(({ kid, x }) => [kid, x]));
      const signed = await open(jws, keys);
      must(!isRefusal(signed), isRefusal(signed) ? signed.because : "");
      const command = parse(signed);
      must(!isRefusal(command), isRefusal(command) ? command.because : "");
      const claims = CommandClaims.parse(jsonOf(Buffer.from(jws.split(".")[1] ?? "", "base64url").toString()));
      must(
        claims.aud === speaker.id && claims.epoch === speaker.epoch,
        `it is for ${claims.aud}, epoch ${claims.epoch}`,
      );
      const lifetime = claims.exp - claims.iat;
      must(lifetime > 0 && lifetime <= 24 * 3600, `it lives ${lifetime} s`);
      const apart = Math.abs(timeOfId(claims.jti) / 1000 - claims.iat);
      must(apart <= ID_TIME_MAX_SECONDS, `its id was made ${Math.round(apart)} s from its iat`);
      return `${claims.action}, good for ${lifetime} s`;
    },
  },
  {
    id: "poll-same-process",
    section: SECTION,
    expects: "the same process is not handed a command again at once",
    core: true,
    async run(world) {
      const { speaker, line, process } = await inHand(world);
      none(await speaker.poll(line, process), "a second time");
      return "once";
    },
  },
  {
    id: "poll-other-process",
    section: SECTION,
    expects: "a command that no entry names is handed to another process at once",
    core: true,
    async run(world) {
      const { speaker, id } = await inHand(world);
      only(await speaker.poll(await speaker.line(), speaker.newProcess()), id);
      return "once to each";
    },
  },
  {
    id: "poll-one-a-resource",
    section: SECTION,
    expects: "of two commands on one resource the second leaves when an entry has decided the first",
    core: true,
    async run(world) {
      const { speaker, line, process } = await polling(world);
      const first = await world.driver.send(speaker.cluster, scale("a", 1));
      const second = await world.driver.send(speaker.cluster, scale("a", 2));
      const jws = only(await speaker.poll(line, process), first);
      none(await speaker.poll(line, process), "while the first was in hand");
      speaker.book.add(refusal(jws));
      await speaker.handIn(line);
      only(await speaker.poll(line, process), second);
      return "one, and after its entry the other";
    },
  },
  {
    id: "poll-decided",
    section: SECTION,
    expects: "what an entry names is not handed out again, to another process either",
    core: true,
    async run(world) {
      const { speaker, line, id, jws } = await inHand(world);
      speaker.book.add(refusal(jws));
      await speaker.handIn(line);
      none(await speaker.poll(await speaker.line(), speaker.newProcess()), "after an entry named it");
      const { state } = await world.driver.state(id);
      must(state === "refused", `its state is ${state}`);
      return "refused, and not again";
    },
  },
  {
    id: "poll-take",
    section: SECTION,
    expects: "at most `take` commands leave: none of two for 0, one for 1, the other for the next 1",
    core: true,
    async run(world) {
      const { speaker, line, process } = await polling(world);
      const ids = [await world.driver.send(speaker.cluster, scale("a", 1))];
      ids.push(await world.driver.send(speaker.cluster, scale("b", 1)));
      none(await speaker.poll(line, process, { take: 0 }), "for take 0");
      const came: string[] = [];
      for (const _ of ids) {
        const { commands } = await speaker.poll(line, process, { take: 1 });
        must(commands.length === 1, `${commands.length} commands came for take 1`);
        came.push(...commands.map(idOf));
      }
      must(new Set(came).size === 2 && came.every((id) => ids.includes(id)), `what came: ${came.join(", ")}`);
      return "0, 1, 1";
    },
  },
  {
    id: "poll-hold",
    section: SECTION,
    expects: "a poll that holds is not answered while there is nothing to say, and ends when there is",
    core: true,
    async run(world) {
      const { speaker, line, process } = await polling(world);
      const held = speaker.poll(line, process, { hold: HOLD_SECONDS });
      const answered = await Promise.race([held.then(() => true), wait(1500).then(() => false)]);
      must(!answered, "a poll that may be held was answered at once, with nothing to say");
      const id = await world.driver.send(speaker.cluster, scale("a", 1));
      only(await held, id);
      return "held, then the command";
    },
  },
];
