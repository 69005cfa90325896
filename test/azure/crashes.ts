/**
 * kill -9 of the compiled agent while a call of a command is on its way: Azure has done it or has not, and nobody hears which. After a
 * restart each intent has one outcome that says by what it knows, and finding out changed nothing.
 */
import { expect } from "bun:test";
import type { Shown, Stage } from "./stage.ts";

export type Try = {
  /** Sends the command and does not wait. */
  send(): Promise<{ readonly command: string }>;
  /** What is the case in the cloud, in one word. */
  look(): "before" | "after";
  /** Puts the cloud back by someone else's hand. */
  reset(): void;
  /** What the outcome must say. `moment`: whether the call in hand had its effect. */
  holds(outcome: Shown | undefined, looked: "before" | "after", point: Point): void;
};
/** A call to be killed at: the nth of this action since the command was sent. */
export type Point = { readonly action: string; readonly nth: number; readonly moment: "before" | "after" };

async function entriesOf(s: Stage, command: string, kind: string): Promise<readonly Shown[]> {
  return (await s.entries()).filter((entry) => entry.command === command && entry.kind === kind);
}

async function isDecided(s: Stage, command: string): Promise<boolean> {
  const entries = await s.entries();
  return entries.some((entry) => entry.command === command && (entry.kind === "outcome" || entry.kind === "refused"));
}

/** Kills the agent while this call is at Azure; its answer is lost. Returns the command's id. */
async function killedAt(s: Stage, one: Try, { action, nth, moment }: Point): Promise<string> {
  let came = 0;
  let died = false;
  const strike = async (): Promise<void> => {
    if (came++ < nth) {
      s.cloud.at(action, moment, strike);
      return;
    }
    await s.kill();
    died = true;
  };
  s.cloud.at(action, moment, strike);
  const rule = s.cloud.fault(action, { kind: "drop", when: moment }, { skip: nth });
  const { command } = await one.send();
  await s.until(`it dies ${moment} ${action} ${nth}`, () => died);
  await s.until("its answer is lost", () => rule.hits === 1);
  return command;
}

/** One line of what was seen, for people. */
export async function round(s: Stage, one: Try, point: Point): Promise<string> {
  one.reset();
  const command = await killedAt(s, one, point);
  const [intents, none] = [await entriesOf(s, command, "intent"), await entriesOf(s, command, "outcome")];
  expect([point, intents.length, none.length]).toEqual([point, 1, 0]);
  await s.until("what is on its way arrives", () => settled(s));
  const looked = one.look();
  const changes = () => s.cloud.calls.filter(({ changed }) => changed).length;
  const before = changes();
  await s.start();
  await s.until("its intent has an outcome", () => isDecided(s, command));
  const outcomes = await entriesOf(s, command, "outcome");
  expect([(await entriesOf(s, command, "intent")).length, outcomes.length]).toEqual([1, 1]);
  one.holds(outcomes[0], looked, point);
  // Finding out changed nothing.
  expect([one.look(), changes()]).toEqual([looked, before]);
  const { result, code, known_by } = outcomes[0] ?? {};
  return `${point.moment.padEnd(6)} ${point.action} ${point.nth + 1}: the cloud ${looked}, ${result} ${code ?? ""} by ${known_by}`;
}

function settled(s: Stage): boolean {
  s.cloud.group.tick();
  return s.cloud.group.set.state !== "Updating";
}

export function show(lines: readonly string[]): void {
  console.log(lines.map((line) => `      ${line}`).join("\n"));
}
