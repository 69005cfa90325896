/**
 * What the compiled agent reads for a certificate by ACME, as the name server and the authority see it: nothing before the names are judged.
 * A name that the owner did not write must tell the vendor nothing, not even by the words of a refusal.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type NameServer, startBind, ZONE } from "../providers/bind.ts";
import { removeAll, scratch } from "../providers/world.ts";
import { type Front, startFront } from "./front.ts";
import { type AcmeMachine, acmeMachine } from "./machine.ts";
import { type Pebble, startPebble } from "./pebble.ts";

const root = scratch();
let bind: NameServer;
let pebble: Pebble;
let front: Front;
let m: AcmeMachine;
beforeAll(async () => {
  bind = await startBind(`${root}/bind`, ["a.example.com"]);
  pebble = await startPebble(`${root}/pebble`, { dns: bind.server });
  front = await startFront(pebble.port, bind.port);
  m = await acmeMachine(front, bind, `${root}/tls.pem`, { made: "by-vendor", rate: "1 per day" });
  await m.start();
}, 600_000);
afterAll(async () => {
  await m?.end();
  await front?.stop();
  await pebble?.stop();
  await bind?.stop();
  removeAll([root]);
}, 60_000);

/** Sends it and waits. Returns the code of its refusal, null for none, and the calls that came meanwhile. */
async function asked(names: readonly string[]): Promise<{ code: string | null | undefined; came: readonly string[] }> {
  const before = front.came.length;
  const command = await m.ask(names);
  await m.decided(command);
  const [refused = { code: null }] = await m.of(command, "refused");
  return { code: refused.code, came: front.came.slice(before) };
}

test("a name that no rule permits is looked up nowhere, whatever stands in the zone for it", async () => {
  // Two that would be told apart by what they are refused for, if they were read: one has more values than an entry holds, one does not stand.
  const values = Array.from({ length: 65 }, (_, at) => `update add _acme-challenge.secret.${ZONE} 60 TXT "${at}"`);
  bind.byOther(...values);
  for (const other of [`secret.${ZONE}`, `nothing.${ZONE}`, `a.${ZONE}.elsewhere.org`])
    for (const names of [[other], [`a.${ZONE}`, other], [other, `a.${ZONE}`]])
      expect([names, await asked(names)]).toEqual([names, { code: "policy.names", came: [] }]);
}, 120_000);

test("a name that a rule permits is, and its certificate comes", async () => {
  const { code, came } = await asked([`a.${ZONE}`]);
  expect([code, pebble.issued()]).toEqual([null, 1]);
  expect(came[0]).toBe("dns:QUERY");
  expect(came).toContain("acme:finalize-order");
}, 120_000);

test("once the rule's rate is used up nothing is read for its names either", async () => {
  expect(await asked([`a.${ZONE}`])).toEqual({ code: "policy.rate", came: [] });
}, 60_000);
