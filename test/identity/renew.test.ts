import { afterEach, beforeEach, expect, test } from "bun:test";
import fc from "fast-check";
import { realNetwork } from "../../agent/host/network.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import type { Identity } from "../../agent/identity/identity.ts";
import { renewAt } from "../../agent/identity/renew.ts";
import { ReportAnswer } from "../../agent/wire/protocol.ts";
import { HOUR, makeCa, makeLeaf, sha256, trustStatement } from "./plane.ts";
import { enrolled, makeWorld, type World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());

const report = (identity: Identity, signal?: AbortSignal) =>
  identity.session.post("/v1/reports", { from: 0 }, ReportAnswer, {
    timeoutSeconds: 5,
    ...(signal === undefined ? {} : { signal }),
  });
const leafOf = (identity: Identity) => sha256(Buffer.from(identity.chain()[0] ?? "", "base64"));
async function joined(): Promise<Identity> {
  await world.placeToken();
  const identity = enrolled(await world.start());
  expect(await report(identity)).toEqual({ ok: { next: 7 } });
  return identity;
}

test("a certificate is renewed from two thirds of its life on, and before its end", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e12 }),
      fc.integer({ min: 60_000, max: 1e9 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (from, life, random) => {
        const at = renewAt(from, from + life, random);
        expect(at).toBeGreaterThanOrEqual(from + (life * 2) / 3 - 1);
        expect(at).toBeLessThan(from + life * 0.8 + 1);
      },
    ),
  );
});

test("before two thirds nothing is asked; after, a new key is certified and the very next request shows it", async () => {
  const identity = await joined();
  const first = leafOf(identity);
  expect(await identity.renewIfDue()).toHaveProperty("notDue");
  expect(world.plane.renewKeys.size).toBe(0);
  world.pass(20 * HOUR);
  expect(await identity.renewIfDue()).toHaveProperty("renewed");
  expect(leafOf(identity)).not.toBe(first);
  expect(await report(identity)).toEqual({ ok: { next: 7 } });
  expect(world.plane.presented.at(-1)).toBe(leafOf(identity));
  expect(world.plane.copies).toBe(0);
  expect([...world.plane.enrolKeys].some((key) => world.plane.renewKeys.has(key))).toBe(false);
});

test("twenty renewals in a row each show the new certificate, never an older one", async () => {
  const identity = await joined();
  for (let round = 0; round < 20; round++) {
    world.pass(20 * HOUR);
    expect(await identity.renewIfDue()).toHaveProperty("renewed");
    expect(await report(identity)).toEqual({ ok: { next: 7 } });
    expect(world.plane.presented.at(-1)).toBe(leafOf(identity));
  }
  expect(world.plane.renewKeys.size).toBe(20);
  expect(world.plane.copies).toBe(0);
});

test("requests under way during a renewal are answered on the older connection, later ones on the newer", async () => {
  const identity = await joined();
  world.pass(20 * HOUR);
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  world.plane.script = async (path) => {
    if (path === "/v1/commands") await held;
    return null;
  };
  const poll = identity.session.post("/v1/commands", {}, ReportAnswer, { timeoutSeconds: 10 });
  const renewal = identity.renewIfDue();
  const reports = Promise.all(Array.from({ length: 20 }, () => report(identity)));
  setTimeout(release, 100);
  expect(await poll).toHaveProperty("ok");
  expect(await renewal).toHaveProperty("renewed");
  expect((await reports).every((answer) => "ok" in answer)).toBe(true);
  expect(await report(identity)).toHaveProperty("ok");
  expect(world.plane.presented.at(-1)).toBe(leafOf(identity));
  expect(world.plane.copies).toBe(0);
});

test("a lost answer to a renewal is asked for again with the same request", async () => {
  const identity = await joined();
  world.pass(20 * HOUR);
  world.plane.lose = 1;
  expect(await identity.renewIfDue()).toHaveProperty("unreachable");
  const issued = world.plane.next?.serial;
  expect(await identity.renewIfDue()).toHaveProperty("renewed");
  expect(leafOf(identity)).toBe(issued ?? "");
  expect(world.plane.renewKeys.size).toBe(1);
});

test("after a restart the renewed certificate is used, though its first use was never heard of", async () => {
  const identity = await joined();
  world.pass(20 * HOUR);
  expect(await identity.renewIfDue()).toHaveProperty("renewed");
  const again = enrolled(await world.start());
  expect(leafOf(again)).toBe(leafOf(identity));
  expect(await report(again)).toHaveProperty("ok");
  expect(world.plane.copies).toBe(0);
});

test("within the grace an expired certificate is renewed by its key's signature over a nonce", async () => {
  const identity = await joined();
  world.pass(30 * HOUR);
  expect(await identity.renewIfDue()).toHaveProperty("renewed");
  expect(world.plane.graces).toBe(1);
  expect(await report(identity)).toHaveProperty("ok");
});

test("a renewed certificate that expired before its first use does not lock the agent out", async () => {
  const identity = await joined();
  world.pass(20 * HOUR);
  expect(await identity.renewIfDue()).toHaveProperty("renewed");
  world.pass(48 * HOUR);
  const again = enrolled(await world.start());
  expect(await again.renewIfDue()).toHaveProperty("renewed");
  expect(world.plane.graces).toBe(1);
  expect(await report(again)).toHaveProperty("ok");
  expect(world.plane.copies).toBe(0);
});

test("a lost answer whose certificate expired while the machine was off does not lock the agent out", async () => {
  const identity = await joined();
  world.pass(20 * HOUR);
  world.plane.lose = 1;
  expect(await identity.renewIfDue()).toHaveProperty("unreachable");
  world.pass(48 * HOUR);
  const again = enrolled(await world.start());
  expect(await again.renewIfDue()).toEqual({ unreachable: "answer: expired" });
  expect(await again.renewIfDue()).toHaveProperty("renewed");
  expect(await report(again)).toHaveProperty("ok");
  expect(world.plane.copies).toBe(0);
});

test("past the grace nothing is sent, and the owner hears to enrol again", async () => {
  const identity = await joined();
  world.pass((24 + 7 * 24 + 1) * HOUR);
  const connections = world.plane.connections;
  expect(await identity.renewIfDue()).toMatchObject({ fault: { fault: "expired", exit: 6 } });
  expect(world.plane.connections).toBe(connections);
});

test("a renewal that names another root, or is for another name, is not taken, and the older certificate stays", async () => {
  const identity = await joined();
  const first = leafOf(identity);
  world.pass(20 * HOUR);
  world.plane.issuer = await makeCa("other");
  expect(await identity.renewIfDue()).toEqual({ unreachable: "answer: the chain does not end in a trusted root" });
  world.plane.issuer = world.plane.ca;
  world.plane.next = null;
  world.plane.leafOptions = { san: { type: "dns", value: "other.example" } };
  expect(await identity.renewIfDue()).toEqual({ unreachable: "answer: the certificate is for another name" });
  expect(leafOf(identity)).toBe(first);
  expect(await report(identity)).toHaveProperty("ok");
});

test("a fenced agent hears it at renewal", async () => {
  const identity = await joined();
  world.pass(20 * HOUR);
  world.plane.script = () => ({ status: 403, body: { code: "fenced", message: "a copy" } });
  expect(await identity.renewIfDue()).toMatchObject({ fault: { fault: "fenced", exit: 6 } });
});

test("a root that the newest trust statement dropped is not spoken to any more", async () => {
  world.plane.trust = [];
  const identity = await joined();
  const { first } = world.plane;
  const accepted = await identity.acceptTrust(
    [trustStatement(1, first, [first], [(await makeCa("newer root")).der])],
    () => false,
  );
  expect(accepted.accepted).toHaveLength(1);
  const answer = await report(identity);
  expect("unreachable" in answer && answer.unreachable).toStartWith("tls: ");
});

test("a request ends with its signal, its time, or a dead server, and the next one works", async () => {
  const identity = await joined();
  world.plane.script = async () => {
    await Bun.sleep(300);
    return null;
  };
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 20);
  expect(await report(identity, stop.signal)).toEqual({ unreachable: "aborted" });
  expect(await report(identity, stop.signal)).toEqual({ unreachable: "aborted" });
  const hurried = await identity.session.post("/v1/reports", {}, ReportAnswer, { timeoutSeconds: 0.05 });
  expect(hurried).toEqual({ unreachable: "timeout" });
  world.plane.script = null;
  expect(await report(identity)).toHaveProperty("ok");
  world.plane.lose = 1;
  expect(await report(identity)).toHaveProperty("unreachable");
  expect(await report(identity)).toHaveProperty("ok");
});

test("a client with a rogue certificate or none is never answered: 200 connections", async () => {
  const identity = await joined();
  const before = world.plane.presented.length;
  const rogueCa = await makeCa("reeve test root");
  const rogue = await makeLeaf(rogueCa, { san: { type: "url", value: identity.agentId } });
  let answered = 0;
  for (let at = 0; at < 200; at++) {
    const client = at % 4 === 0 ? null : { certificate: rogue.pem, key: rogue.key };
    const line = await realNetwork(DIRECT).connect(
      { url: world.plane.agentsUrl, roots: [world.plane.ca.pem], client },
      { timeoutSeconds: 5 },
    );
    if ("unreachable" in line) continue;
    const answer = await line.ask(
      { method: "POST", path: "/v1/reports", body: "{}", maxAnswerBytes: 1000 },
      { timeoutSeconds: 5 },
    );
    if ("status" in answer) answered++;
    line.close();
  }
  expect(answered).toBe(0);
  expect(world.plane.presented.length).toBe(before);
}, 30_000);
