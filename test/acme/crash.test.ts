/**
 * kill -9 of the compiled agent while a call of a certificate by ACME is on its way, at one after the other: the authority or the name server has
 * done it or has not, and nobody hears which. After a restart each intent has one outcome that says by what it knows, at most one certificate
 * is issued, and nothing stays in the zone.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type NameServer, startBind } from "../providers/bind.ts";
import { removeAll, scratch } from "../providers/world.ts";
import { type Front, startFront } from "./front.ts";
import { type AcmeMachine, acmeMachine } from "./machine.ts";
import { type Pebble, startPebble } from "./pebble.ts";
import { challengesIn } from "./stage.ts";

const root = scratch();
let bind: NameServer;
let pebble: Pebble;
let front: Front;
let m: AcmeMachine;
beforeAll(async () => {
  bind = await startBind(`${root}/bind`, ["a.example.com"]);
  pebble = await startPebble(`${root}/pebble`, { dns: bind.server });
  front = await startFront(pebble.port, bind.port);
  m = await acmeMachine(front, bind, `${root}/tls.pem`);
  await m.start();
}, 600_000);
afterAll(async () => {
  await m?.end();
  await front?.stop();
  await pebble?.stop();
  await bind?.stop();
  removeAll([root]);
}, 60_000);

const NAMES = ["a.example.com"];

/** The nth call of a name, and what is the case once it is lost: `before` it had its effect, and `after`. */
type Point = {
  readonly call: string;
  readonly nth: number;
  readonly moment: "before" | "after";
  readonly issued: 0 | 1;
};
const POINTS: readonly Point[] = [
  { call: "acme:sign-me-up", nth: 1, moment: "after", issued: 0 },
  { call: "acme:order-plz", nth: 1, moment: "before", issued: 0 },
  { call: "acme:order-plz", nth: 1, moment: "after", issued: 0 },
  { call: "acme:authZ", nth: 1, moment: "after", issued: 0 },
  { call: "dns:UPDATE", nth: 1, moment: "before", issued: 0 },
  { call: "dns:UPDATE", nth: 1, moment: "after", issued: 0 },
  { call: "acme:chalZ", nth: 1, moment: "before", issued: 0 },
  { call: "acme:chalZ", nth: 1, moment: "after", issued: 0 },
  { call: "acme:finalize-order", nth: 1, moment: "before", issued: 0 },
  { call: "acme:finalize-order", nth: 1, moment: "after", issued: 1 },
  { call: "acme:certZ", nth: 1, moment: "after", issued: 1 },
  { call: "dns:UPDATE", nth: 2, moment: "before", issued: 1 },
  { call: "dns:UPDATE", nth: 2, moment: "after", issued: 1 },
];

/** Kills the agent at this point of a new command's way. Returns the command's id. */
async function killedAt(point: Point): Promise<string> {
  let died = false;
  front.strike(point, async () => {
    await m.kill();
    died = true;
  });
  const command = await m.ask();
  const decided = async () => (await m.of(command, "outcome")).length > 0;
  await m.until(`it dies ${point.moment} ${point.call} ${point.nth}`, async () => died || (await decided()));
  if (!died) throw new Error(`it did not come by ${point.call}: ${JSON.stringify(await m.of(command, "outcome"))}`);
  expect([(await m.of(command, "intent")).length, (await m.of(command, "outcome")).length]).toEqual([1, 0]);
  return command;
}

test("left alone it is issued once, and its log names each call at the authority and in the zone", async () => {
  const command = await m.ask();
  await m.decided(command);
  const [outcome] = await m.of(command, "outcome");
  expect(outcome).toMatchObject({ result: "succeeded", code: null, known_by: "answer" });
  expect([pebble.issued(), outcome?.certificate?.length]).toEqual([1, 2]);
  const changes = (outcome?.operations ?? []).filter(({ changes, status }) => changes && status === "ok");
  expect(changes.map(({ operation, resource }) => `${operation} ${resource}`)).toEqual([
    "acme:newAccount acme:test/zone/example.com",
    "acme:newOrder acme:test/zone/example.com",
    "dns.update example.com/_acme-challenge.a.example.com",
    "acme:challenge acme:test/zone/example.com",
    "acme:finalize acme:test/zone/example.com",
    "local.certificate.deliver acme:test/zone/example.com",
    "dns.update example.com/_acme-challenge.a.example.com",
  ]);
  expect(await challengesIn(bind, NAMES)).toEqual([]);
}, 180_000);

test("doctor looks at the directory, the account and the zone of the rule, and changes nothing", async () => {
  const before = front.came.length;
  const { stdout } = await m.reeve("doctor");
  for (const what of [`acme test ${front.directory}`, "acme test account", "rule public zone example.com"])
    expect(stdout).toContain(what);
  expect(stdout).toContain(`it is ${front.directory.replace("/dir", "/my-account/")}`);
  const came = front.came.slice(before).filter((call) => call.startsWith("acme:") || call === "dns:UPDATE");
  expect([...new Set(came)].sort()).toEqual(["acme:dir", "acme:nonce-plz", "acme:sign-me-up"]);
}, 120_000);

test("killed at each of its calls, with the answer lost", async () => {
  const table: string[] = [];
  for (const point of POINTS) {
    const before = pebble.issued();
    const command = await killedAt(point);
    expect([point.call, point.nth, point.moment, pebble.issued() - before]).toEqual([
      point.call,
      point.nth,
      point.moment,
      point.issued,
    ]);
    await m.start();
    await m.decided(command);
    const outcomes = await m.of(command, "outcome");
    const [outcome] = outcomes;
    expect([(await m.of(command, "intent")).length, outcomes.length]).toEqual([1, 1]);
    // Finding out issued nothing, and what was put in the zone is gone.
    expect([pebble.issued() - before, await challengesIn(bind, NAMES)]).toEqual([point.issued, []]);
    const finalizing = point.issued === 1 || point.call === "acme:finalize-order";
    expect(outcome?.known_by).toBe(finalizing ? "change id" : "state");
    if (point.issued === 0) expect(outcome).toMatchObject({ result: "failed", code: "not-issued", certificate: null });
    else expect(outcome?.certificate?.length).toBe(2);
    const said = `${outcome?.result} ${outcome?.code ?? ""} by ${outcome?.known_by}`;
    table.push(`${point.moment.padEnd(6)} ${`${point.call} ${point.nth}`.padEnd(24)} issued ${point.issued}   ${said}`);
  }
  console.log(table.map((line) => `      ${line}`).join("\n"));
  // The first two of those that were issued died before the chain was handed over, the others after.
  expect(table.filter((line) => line.includes("succeeded"))).toHaveLength(2);
}, 600_000);

test("the rule is taken out while it is dead: nothing is changed any more, and the outcome says what is left in the zone", async () => {
  const command = await killedAt({ call: "dns:UPDATE", nth: 1, moment: "after", issued: 0 });
  const left = await challengesIn(bind, NAMES);
  expect(left).toHaveLength(1);
  m.rule(false);
  const updates = front.came.filter((call) => call === "dns:UPDATE").length;
  await m.start();
  await m.decided(command);
  const [outcome] = await m.of(command, "outcome");
  expect(outcome).toMatchObject({ result: "failed", code: "not-issued", known_by: "state" });
  expect(outcome?.changed?.map(({ what, to }) => `${what.replace(" TXT", "")} ${to}`)).toEqual(left);
  expect([await challengesIn(bind, NAMES), front.came.filter((call) => call === "dns:UPDATE").length]).toEqual([
    left,
    updates,
  ]);
  // With the rule back, the next certificate takes it along.
  m.rule(true);
  const next = await m.ask();
  await m.decided(next);
  expect((await m.of(next, "outcome"))[0]).toMatchObject({ result: "succeeded" });
  expect(await challengesIn(bind, NAMES)).toEqual([]);
}, 180_000);

test("afterwards the log is whole, and one account was ever made", async () => {
  expect((await m.reeve("audit", "verify", `--ca=${m.world.root}`)).code).toBe(11);
  const made = pebble.said().filter((line) => /There are now \d+ accounts/.test(line));
  expect(made.map((line) => /now (\d+)/.exec(line)?.[1])).toEqual(["1"]);
}, 60_000);
