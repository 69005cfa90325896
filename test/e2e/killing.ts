/**
 * kill -9 of the compiled agent while a call of a deploy is on its way: the cloud has done it, or has not, or does it when the agent is back
 * already, and nobody hears which. Started again, the agent goes on under the same intent: one outcome, the group at the manifest or back at
 * what it ran, and nothing done twice.
 */
import { expect } from "bun:test";
import { sample } from "../crash/sample.ts";
import { REEVE, running, type World } from "./world.ts";

/** One call as a cloud of the tests had it. */
export type Call = {
  readonly operation: string;
  readonly userAgent: string;
  /** The cloud took it in hand. */
  readonly reached: boolean;
  /** Something in the cloud is different because of it. */
  readonly changed: boolean;
};
type Moment = "before" | "after";
export type Killable = {
  readonly machine: World;
  /** Every call that came and counts, oldest first. */
  calls(): readonly Call[];
  /** Runs once, at the next such call. */
  at(operation: string, moment: Moment, then: () => Promise<void>): void;
  /** How long the cloud takes to bring a machine, in milliseconds. */
  takes(milliseconds: number): void;
  /** The answer of such a call is lost, and before: the call itself. */
  drop(operation: string, moment: Moment, skip: number): { readonly hits: number };
  start(): Promise<void>;
  kill(): Promise<void>;
  /** Sends a deploy to the image and does not wait. */
  deploy(image: string): Promise<{ readonly command: string }>;
  /** Operations that a token of the command's makes one change, however often they are sent. */
  readonly once: ReadonlySet<string>;
};
/** A deploy as it goes when it is left alone. */
export type Way = {
  /** Another one each time. */
  image(): string;
  /** What the outcome says. */
  readonly ends: readonly [result: string, code: string | null];
  /** What is the case in the cloud at the end; asserts, and never before the end: whoever looks gets an update on. */
  look(image: string): Promise<void>;
  /** Only points behind so many changes are tried. */
  readonly after: number;
};
type Shown = {
  readonly kind: string;
  readonly command?: string;
  readonly result?: string;
  readonly code?: string | null;
  readonly known_by?: string;
  readonly operations?: readonly { readonly operation: string }[];
};
/** A call to be killed at: the nth of this operation since the command was sent. "late": the cloud has it only some time later. */
type Point = { readonly operation: string; readonly nth: number; readonly moment: Moment | "late" };

/** A run takes so many of the points that are not late, at most; `--all` takes each. */
const MAX_POINTS = 3;
const PATIENCE_SECONDS = 120;
/** By then the agent is back, and less than a change may be on its way. */
const LATE_MILLISECONDS = 3_000;
/** Less than the agent waits between two looks; and so long that it is back before a machine is. */
const QUICK_MILLISECONDS = 300;
const SLOW_MILLISECONDS = 6_000;

async function entriesOf({ machine }: Killable, command: string): Promise<readonly Shown[]> {
  const shown = await running(REEVE, "audit", "show", "--config", machine.config, "--json");
  if (shown.code !== 0) throw new Error(`audit show: ${shown.stderr}`);
  const all = shown.stdout.split("\n").filter(Boolean);
  return all.map((line) => JSON.parse(line) as Shown).filter((entry) => entry.command === command);
}

/** Its entries, once it is decided. */
async function decided(s: Killable, command: string): Promise<readonly Shown[]> {
  for (const end = Date.now() + PATIENCE_SECONDS * 1000; ; await Bun.sleep(300)) {
    const entries = await entriesOf(s, command);
    if (entries.some(({ kind }) => kind === "outcome" || kind === "refused")) return entries;
    if (Date.now() > end) throw new Error(`${command} was never decided: ${JSON.stringify(entries)}`);
  }
}

function callsOf(s: Killable, command: string): readonly Call[] {
  return s.calls().filter(({ userAgent }) => userAgent.split(" ").includes(`cmd/${command}`));
}

const changesOf = (s: Killable, command: string): readonly string[] =>
  callsOf(s, command).flatMap(({ changed, operation }) => (changed ? [operation] : []));

/** Its calls after the intent, and the changes among them. */
async function leftAlone(s: Killable, way: Way) {
  const image = way.image();
  const { command } = await s.deploy(image);
  const entries = await decided(s, command);
  const outcome = entries.find(({ kind }) => kind === "outcome");
  expect([outcome?.result, outcome?.code]).toEqual([...way.ends]);
  await way.look(image);
  const own = callsOf(s, command);
  const first = own.length - (outcome?.operations?.length ?? 0);
  expect(first).toBeGreaterThan(0);
  const all = own.map(({ operation, changed }, at) => ({
    ...{ operation, changed, behind: own.slice(0, at).filter((other) => other.changed).length },
    nth: own.slice(0, at).filter((other) => other.operation === operation).length,
  }));
  const tried = all.slice(first).filter(({ behind }) => behind >= way.after);
  const at = (moment: Point["moment"], one: (typeof all)[number]): Point => ({ ...one, moment });
  const changes = tried.filter(({ changed }) => changed);
  const others = [...changes.map((one) => at("before", one)), ...tried.map((one) => at("after", one))];
  const points = [...changes.map((one) => at("late", one)), ...sample(others, MAX_POINTS)];
  return { points, changes: changesOf(s, command) };
}

/** Kills the agent while this call is at the cloud; its answer is lost in any case. Returns the command's id. */
async function killedAt(s: Killable, image: string, { operation, nth, moment }: Point): Promise<string> {
  const [isLate, when] = [moment === "late", moment === "after" ? moment : "before"] as const;
  let came = 0;
  let died = false;
  const strike = async (): Promise<void> => {
    if (came++ < nth) return s.at(operation, when, strike);
    await s.kill();
    died = true;
    if (!isLate) return;
    // What it begins takes long, and nothing after it.
    s.at(operation, "after", async () => s.takes(QUICK_MILLISECONDS));
    await Bun.sleep(LATE_MILLISECONDS);
  };
  s.at(operation, when, strike);
  s.takes(isLate ? SLOW_MILLISECONDS : QUICK_MILLISECONDS);
  const lost = isLate ? null : s.drop(operation, when, nth);
  const { command } = await s.deploy(image);
  for (const end = Date.now() + PATIENCE_SECONDS * 1000; !died || lost?.hits === 0; await Bun.sleep(50))
    if (Date.now() > end) throw new Error(`it never died ${moment} ${operation} ${nth + 1}`);
  return command;
}

/** A line of what was seen, for people. */
async function survived(s: Killable, way: Way, point: Point, changes: readonly string[]): Promise<string> {
  const image = way.image();
  const command = await killedAt(s, image, point);
  const kinds = (entries: readonly Shown[]) => entries.map(({ kind }) => kind);
  expect([point, kinds(await entriesOf(s, command))]).toEqual([point, ["intent"]]);
  await s.start();
  const entries = await decided(s, command);
  expect([point, kinds(entries)]).toEqual([point, ["intent", "outcome"]]);
  const { result, code, known_by } = entries[1] ?? {};
  expect([point, result, code, known_by]).toEqual([point, ...way.ends, "state"]);
  await way.look(image);
  expect([point, changesOf(s, command)]).toEqual([point, changes]);
  // What had no token was asked of the cloud only as often as it did it.
  const again = callsOf(s, command).filter(
    ({ operation, reached, changed }) => changes.includes(operation) && !s.once.has(operation) && reached && !changed,
  );
  expect([point, again]).toEqual([point, []]);
  return `      ${point.moment.padEnd(6)} ${`${point.operation} ${point.nth + 1}`.padEnd(60)} ${result} ${code ?? ""}`;
}

/** Kills it at each of the way's calls that is tried. */
export async function killedOnItsWay(s: Killable, way: Way): Promise<void> {
  s.takes(QUICK_MILLISECONDS);
  const { points, changes } = await leftAlone(s, way);
  expect(points.filter(({ moment }) => moment === "late").length).toBeGreaterThan(0);
  const lines: string[] = [];
  for (const point of points) lines.push(await survived(s, way, point, changes));
  console.log(lines.join("\n"));
}
