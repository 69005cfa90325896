import "reflect-metadata";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { sign } from "node:crypto";
import { clearAlarms, readAlarms, readClearedAlarms } from "../../control/alarms.ts";
import { unfence } from "../../control/epoch.ts";
import { readCommand, send } from "../../control/send.ts";
import { Complaint } from "../../control/terminal.ts";
import {
  type Agent,
  CLUSTER,
  call,
  enrolled,
  intent,
  makeCsr,
  makeKey,
  outcome,
  startWorld,
  type World,
} from "./client.ts";

/** The end of fencing, as far as the control plane's operator says it; through the two listeners. */
let world: World;
beforeEach(async () => {
  world = await startWorld(1);
});
afterEach(() => world.end());

const act = (epoch: number) => unfence(world.store, CLUSTER, epoch, "maria", "the token of epoch 2 was stolen");
const ask = async (group: string): Promise<string> => {
  const asked = { action: "scale", args: { group, count: 3 } } as const;
  const wish = { dir: world.dir, cluster: CLUSTER, asked, by: "maria", why: "load", lifetime: 600, dryRun: false };
  return (await send(world.store, wish, world.signer)).id;
};
const stateOf = async (id: string): Promise<string> => {
  const row = await world.store.transaction((sql) => readCommand(sql, id));
  return `${row.state} ${row.code}`;
};
async function refused(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Complaint)) throw new Error(`not refused: ${error}`);
  return `${error.exit} ${error.because}`;
}
/** What the agent hears on each path of its listener, and about a renewal past its end on the other. */
async function hears(agent: Agent): Promise<string[]> {
  const own: string[] = [];
  for (const work of [
    () => agent.poll(),
    () => agent.report(0),
    async () => agent.post("/v1/renew", { csr: await makeCsr(await makeKey()) }),
    () => agent.post("/v1/witness", {}),
    () => grace(agent),
  ]) {
    const answer = await work();
    own.push(answer.status === 200 ? "200" : String(answer.body["code"]));
  }
  return own;
}
async function grace(agent: Agent) {
  const there = world.serving.ready.enrol;
  const nonce = String((await call(there, "/v1/nonce", undefined, { ca: world.rootPem })).body["nonce"]);
  const csr = await makeCsr(await makeKey());
  const text = Buffer.from(`reeve-renew\n${nonce}\n${csr}`);
  const signature = sign("sha256", text, { key: agent.key.key, dsaEncoding: "ieee-p1363" }).toString("base64url");
  return call(there, "/v1/renew", { csr, chain: agent.chain, nonce, signature }, { ca: world.rootPem });
}
const FENCED = ["fenced", "fenced", "fenced", "fenced", "fenced"];
const ACTS = ["200", "200", "200", "malformed", "200"];

test("one agent acts: the one whose epoch the operator named, on both listeners, whichever enrolled last", async () => {
  const first = await enrolled(world);
  await first.report(0);
  const second = await enrolled(world);
  await second.report(0);
  expect([await hears(first), await hears(second)]).toEqual([FENCED, ACTS]);
  expect(await act(1)).toEqual({ cluster: CLUSTER, epoch: 1, fenced: 2 });
  expect([await hears(first), await hears(second)]).toEqual([ACTS, FENCED]);
  await world.restart();
  expect([await hears(first), await hears(second)]).toEqual([ACTS, FENCED]);
  await act(2);
  expect([await hears(first), await hears(second)]).toEqual([FENCED, ACTS]);
});

test("a poll that is held when its epoch is fenced ends as fenced, and hands out nothing", async () => {
  const first = await enrolled(world);
  await first.report(0);
  const second = await enrolled(world);
  await second.report(0);
  await second.poll();
  const held = second.poll({ hold: 20 });
  await Bun.sleep(300);
  const began = Date.now();
  await act(1);
  const id = await ask("g");
  expect((await held).body["code"]).toBe("fenced");
  expect(Date.now() - began).toBeLessThan(5000);
  expect(((await first.poll()).body["commands"] as string[]).length).toBe(1);
  expect(await stateOf(id)).toBe("handed-out null");
});

test("no epoch is given twice: after an earlier one acts again, the next enrolment is above every one before", async () => {
  await enrolled(world);
  await enrolled(world);
  const third = await enrolled(world);
  expect(third.epoch).toBe(3);
  await act(1);
  const fourth = await enrolled(world);
  expect(fourth.epoch).toBe(4);
  expect((await fourth.report(0)).body).toEqual({ next: 1 });
  expect(await hears(third)).toEqual(FENCED);
});

test("a token of the fenced epoch, used again, gives no certificate that acts and no new epoch", async () => {
  const first = await enrolled(world);
  const token = await world.token();
  const key = await makeKey();
  const body = { token, proof: null, nonce: null, csr: await makeCsr(key) };
  const there = world.serving.ready.enrol;
  const stolen = await call(there, "/v1/enroll", body, { ca: world.rootPem });
  await act(1);
  expect(await call(there, "/v1/enroll", body, { ca: world.rootPem })).toEqual(stolen);
  expect((await first.report(0)).status).toBe(200);
});

test("what the fenced epoch had in hand is unknown, what it never got is expired; the acting one settles its own", async () => {
  const first = await enrolled(world);
  await first.report(0);
  await ask("a");
  await ask("b");
  const [jws = "", other = ""] = (await first.poll()).body["commands"] as string[];
  first.append(intent(jws));
  await first.report(1);
  const mine = JSON.parse(Buffer.from(jws.split(".")[1] ?? "", "base64url").toString()).jti as string;
  const second = await enrolled(world);
  await second.report(0);
  expect(await stateOf(mine)).toBe("unknown epoch");
  const theirs = await ask("c");
  expect(((await second.poll()).body["commands"] as string[]).length).toBe(1);
  const waiting = await ask("c");
  await act(1);
  expect([await stateOf(theirs), await stateOf(waiting)]).toEqual(["unknown epoch", "expired epoch"]);
  first.append(outcome(jws, 1, "succeeded"));
  first.append(intent(other));
  expect((await first.report(2)).status).toBe(200);
  expect(await stateOf(mine)).toBe("succeeded null");
  const jti = JSON.parse(Buffer.from(other.split(".")[1] ?? "", "base64url").toString()).jti as string;
  expect(await stateOf(jti)).toBe("intent null");
  // The fenced one cannot settle anything any more.
  expect((await second.report(0)).body["code"]).toBe("fenced");
});

test("an epoch that never was, acts already, or is of a cluster that nobody joined is refused and changes nothing", async () => {
  const agent = await enrolled(world);
  expect(await refused(act(2))).toBe("1 there never was such an epoch");
  expect(await refused(act(0))).toBe("1 there never was such an epoch");
  expect(await refused(act(1))).toBe("1 it acts already");
  expect(await refused(unfence(world.store, "nobody", 1, "m", "w"))).toBe("1 no agent has enrolled for this cluster");
  expect(await hears(agent)).toEqual(["200", "200", "200", "malformed", "200"]);
  expect(await world.store.transaction((sql) => readAlarms(sql, null))).toEqual([]);
});

test("who let an epoch act, and why, stands as an alarm; a cleared alarm is kept with who and why, and comes back when it goes on", async () => {
  const first = await enrolled(world);
  await enrolled(world);
  await first.poll();
  await act(1);
  const standing = await world.store.transaction((sql) => readAlarms(sql, CLUSTER));
  expect(standing.map((one) => one.kind).sort()).toEqual(["fenced-agent", "unfenced"]);
  expect(standing.find((one) => one.kind === "unfenced")?.words).toBe(
    "epoch 1 acts again and epoch 2 is fenced, said maria: the token of epoch 2 was stolen",
  );
  const ids = standing.map((one) => one.id);
  expect(await refused(clearAlarms(world.store, [...ids, "nothing"], "bob", "seen"))).toBe(
    "1 no alarm of this name stands",
  );
  expect((await world.store.transaction((sql) => readAlarms(sql, null))).length).toBe(2);
  await clearAlarms(world.store, ids, "bob", "seen");
  expect(await world.store.transaction((sql) => readAlarms(sql, null))).toEqual([]);
  const cleared = await world.store.transaction((sql) => readClearedAlarms(sql, CLUSTER));
  expect(cleared.map((one) => [one.id, one.cleared_by, one.cleared_why]).sort()).toEqual(
    ids.map((id) => [id, "bob", "seen"]).sort(),
  );
  expect(cleared.every((one) => one.cleared_at >= one.at && one.at > 0)).toBe(true);
  await act(2);
  await first.poll();
  const again = await world.store.transaction((sql) => readAlarms(sql, CLUSTER));
  expect(again.map((one) => one.kind).sort()).toEqual(["fenced-agent", "unfenced"]);
});
