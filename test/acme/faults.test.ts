/** An ACME authority that answers badly: each fault with its code, and what is the case afterwards. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { DiskError } from "../../agent/host/host.ts";
import { CallFailed, Halted } from "../../providers/provider.ts";
import { type NameServer, startBind } from "../providers/bind.ts";
import { act, errand, gateFor, host, recall, removeAll, scratch, see } from "../providers/world.ts";
import { type Authority, json, problem, type Reply, type Step, startAuthority, startForeign } from "./authority.ts";
import { type Asking, asking, challengesIn, HASTY, NAMES, type Wish } from "./stage.ts";

const root = scratch();
let bind: NameServer;
let authority: Authority;
beforeAll(async () => {
  bind = await startBind(`${root}/bind`, NAMES);
}, 330_000);
afterAll(async () => {
  await bind?.stop();
  removeAll([root]);
});
beforeEach(async () => {
  authority = await startAuthority();
});
afterEach(() => authority.stop());

function asked(wish: Wish = {}): Promise<Asking> {
  const folder = mkdtempSync(join(root, "case-"));
  return asking(folder, bind, authority, { usages: ["server"], validity: 86_400 * 2, host: HASTY, ...wish });
}

/** Each answer of one step is another. */
function when(step: Step, how: (reply: Reply) => Reply | "unheard"): void {
  authority.twist = (at, reply) => (at === step ? how(reply) : reply);
}

/** What was not handed over, and left nothing in the zone. */
async function nothingLeft({ deliver }: Asking): Promise<void> {
  expect(existsSync(deliver)).toBe(false);
  expect(await challengesIn(bind)).toEqual([]);
}

const times = (step: Step) => authority.came.filter((one) => one === step).length;

test("a good one is asked for one certificate, which is handed over, and nothing stays in the zone", async () => {
  const one = await asked();
  expect(await act(one.command)).toMatchObject({ result: "succeeded", code: null });
  expect([authority.issued, times("finalize"), existsSync(one.deliver)]).toEqual([1, 1, true]);
  expect(await challengesIn(bind)).toEqual([]);
});

test.each<[string, Step, (reply: Reply, foreign: string) => Reply, string]>([
  [
    "its directory redirects",
    "directory",
    (_, foreign) => ({ status: 302, headers: { location: foreign }, body: null }),
    "redirected",
  ],
  [
    "its directory names another host",
    "directory",
    (reply, foreign) => json(200, { ...(reply.body as object), newOrder: foreign }),
    "foreign-url",
  ],
  [
    "the account is on another host",
    "account",
    (_, foreign) => json(200, { status: "valid" }, { location: foreign }),
    "foreign-url",
  ],
  [
    "the order is on another host",
    "newOrder",
    (reply, foreign) => json(201, reply.body, { location: foreign }),
    "foreign-url",
  ],
  [
    "the order is on a plain URL of its own host",
    "newOrder",
    (reply) => json(201, reply.body, { location: authority.directory.replace("https:", "http:") }),
    "foreign-url",
  ],
  [
    "the order's URL carries a password",
    "newOrder",
    (reply) => json(201, reply.body, { location: authority.directory.replace("https://", "https://a:b@") }),
    "foreign-url",
  ],
  [
    "an authorization is on another host",
    "newOrder",
    (reply, foreign) => ({ ...reply, body: { ...(reply.body as object), authorizations: [foreign] } }),
    "foreign-url",
  ],
  ["a challenge is on another host", "authorization", (reply, foreign) => challengeAt(reply, foreign), "foreign-url"],
  [
    "the finalize URL is on another host",
    "order",
    (reply, foreign) => json(200, { ...(reply.body as object), finalize: foreign }),
    "foreign-url",
  ],
  [
    "it redirects a change",
    "newOrder",
    (_, foreign) => ({ status: 307, headers: { location: foreign }, body: null }),
    "redirected",
  ],
])("%s: nobody else is ever called", async (_, step, reply, code) => {
  const foreign = await startForeign();
  try {
    const one = await asked();
    const found = await see(one.command);
    when(step, (real) => reply(real, foreign.url));
    expect(await act(one.command, {}, errand(), found)).toMatchObject({ result: "failed", code, certificate: null });
    expect([foreign.came(), authority.issued]).toEqual([0, 0]);
    await nothingLeft(one);
  } finally {
    await foreign.stop();
  }
});

function challengeAt(reply: Reply, url: string): Reply {
  const body = reply.body as { challenges: object[] };
  return json(200, { ...body, challenges: body.challenges.map((challenge) => ({ ...challenge, url })) });
}

test("another host that the config lists may be named", async () => {
  const one = await asked({ acme: { hosts: ["https://127.0.0.1:1"] } });
  when("newOrder", (reply) => json(201, reply.body, { location: "https://127.0.0.1:1/order/0" }));
  // It is called, and nobody listens there.
  expect(await act(one.command)).toMatchObject({ result: "failed", code: "connection-refused" });
});

test.each<[string, Step, (reply: Reply) => Reply, string]>([
  [
    "the order is about other names",
    "newOrder",
    (reply) =>
      json(201, { ...(reply.body as object), identifiers: [{ type: "dns", value: "c.example.com" }] }, reply.headers),
    "order-other",
  ],
  [
    "the order has more authorizations than names",
    "newOrder",
    (reply) => {
      const body = reply.body as { authorizations: string[] };
      return json(201, { ...body, authorizations: [...body.authorizations, ...body.authorizations] }, reply.headers);
    },
    "order-other",
  ],
  [
    "an authorization is about another name",
    "authorization",
    (reply) => json(200, { ...(reply.body as object), identifier: { type: "dns", value: "c.example.com" } }),
    "order-other",
  ],
  [
    "an authorization is a wildcard's",
    "authorization",
    (reply) => json(200, { ...(reply.body as object), wildcard: true }),
    "order-other",
  ],
  [
    "it offers no DNS challenge",
    "authorization",
    (reply) => json(200, { ...(reply.body as object), challenges: [] }),
    "no-dns-01",
  ],
  [
    "the token is none",
    "authorization",
    (reply) =>
      json(200, {
        ...(reply.body as object),
        challenges: [{ type: "dns-01", url: authority.directory, status: "pending", token: "a b" }],
      }),
    "malformed",
  ],
  ["the answer is no JSON", "newOrder", (reply) => ({ ...reply, body: "<html>" }), "malformed"],
  [
    "the answer is too long",
    "newOrder",
    (reply) => ({ ...reply, body: "x".repeat(2 * 1024 * 1024) }),
    "answer-too-long",
  ],
  [
    "the order's state is none",
    "newOrder",
    (reply) => ({ ...reply, body: { ...(reply.body as object), status: "fine" } }),
    "malformed",
  ],
  [
    "the account was deactivated",
    "account",
    (reply) => ({ ...reply, body: { status: "deactivated" } }),
    "account-ended",
  ],
  ["it asks for slower", "newOrder", () => problem(429, "rateLimited", { "retry-after": "3600" }), "rate-limited"],
  ["it does not take a name", "newOrder", () => problem(403, "rejectedIdentifier"), "rejected-name"],
  ["it needs another account", "account", () => problem(403, "externalAccountRequired"), "external-account"],
  ["new terms are to be agreed to", "newOrder", () => problem(403, "userActionRequired"), "terms"],
  ["its problem has a type that nobody knows", "newOrder", () => problem(400, "../../etc"), "refused"],
  ["it is broken", "newOrder", () => json(503, {}), "unavailable"],
  ["a CAA record forbids it", "authorization", (reply) => invalid(reply, "caa"), "caa"],
  [
    "it does not see the record",
    "authorization",
    (reply) => invalid(reply, "incorrectResponse"),
    "challenge-incorrect",
  ],
  ["a CAA record forbids it at the end", "finalize", () => problem(403, "caa"), "caa"],
  ["it does not take the request", "finalize", () => problem(400, "badCSR"), "bad-csr"],
])("%s: failed, nothing is issued, nothing stays in the zone", async (_, step, reply, code) => {
  const one = await asked();
  const found = await see(one.command);
  when(step, reply);
  const done = await act(one.command, {}, errand(), found);
  expect(done).toMatchObject({ result: "failed", code, changed: [], certificate: null });
  await nothingLeft(one);
  if (code === "rate-limited") expect(done.words).toContain("Retry-After: 3600");
});

function invalid(reply: Reply, type: string): Reply {
  const body = reply.body as { challenges: object[] };
  const error = problem(403, type).body;
  // At first it is to be proven: the records are in the zone when it says no.
  if (times("authorization") <= NAMES.length) return reply;
  return json(200, {
    ...body,
    status: "invalid",
    challenges: body.challenges.map((one) => ({ ...one, status: "invalid", error })),
  });
}

test("a nonce that is refused is followed by a fresh one, and the change is made once", async () => {
  const one = await asked();
  let refused = 0;
  authority.twist = (step, reply, count) => {
    if (step !== "account" || count > 3) return reply;
    refused += 1;
    return problem(400, "badNonce");
  };
  const { operations, ...done } = await act(one.command);
  expect(done).toMatchObject({ result: "succeeded", code: null });
  const account = operations.filter(({ operation }) => operation === "acme:newAccount");
  expect(account.map(({ status }) => status)).toEqual(["bad-nonce", "bad-nonce", "bad-nonce", "ok"]);
  expect([refused, authority.issued]).toEqual([3, 1]);
});

test("nonces that are refused for ever end it, within a bound", async () => {
  const one = await asked();
  when("newOrder", () => problem(400, "badNonce"));
  expect(await act(one.command)).toMatchObject({ result: "failed", code: "bad-nonce", changed: [] });
  expect(times("newOrder")).toBe(10);
});

test("no nonce at all: nothing is sent", async () => {
  const one = await asked();
  authority.twist = (_, reply) => ({ ...reply, headers: { ...reply.headers, "replay-nonce": "" } });
  expect(await act(one.command)).toMatchObject({ result: "failed", code: "malformed" });
  expect([times("account"), times("newOrder")]).toEqual([0, 0]);
});

test("an answer to finalize that is lost is found in the order, and it is not sent again", async () => {
  const one = await asked();
  when("finalize", () => "unheard");
  expect(await act(one.command)).toMatchObject({ result: "succeeded", code: null });
  expect([times("finalize"), authority.issued, existsSync(one.deliver)]).toEqual([1, 1, true]);
});

test("a request to finalize of which nobody knows is unknown, and found out later", async () => {
  const one = await asked();
  const found = await see(one.command);
  const own = errand();
  authority.loses = "finalize";
  expect(await act(one.command, {}, own, found)).toMatchObject({ result: "unknown", code: "reset", changed: [] });
  expect([times("finalize"), authority.issued]).toEqual([1, 0]);
  await nothingLeft(one);
  expect(await recall(one.command, found, own)).toMatchObject({
    result: "failed",
    code: "not-issued",
    known_by: "change id",
  });
});

test.each<[string, (reply: Reply) => Reply | "unheard", string]>([
  ["refuses to show it", () => problem(403, "unauthorized"), "unauthorized"],
  ["answers with no JSON", (reply) => ({ ...reply, body: "<html>" }), "malformed"],
  ["is broken", () => json(503, {}), "unavailable"],
  ["hangs up", () => "unheard", "reset"],
  ["shows one about other names", (reply) => json(200, { ...(reply.body as object), identifiers: [] }), "order-other"],
  ["shows one that is pending", (reply) => json(200, { ...(reply.body as object), status: "pending" }), "malformed"],
  [
    "shows one without its certificate",
    (reply) => json(200, { ...(reply.body as object), certificate: undefined }),
    "malformed",
  ],
])("once it is asked to issue, an authority that %s leaves it unknown", async (_, how, code) => {
  for (const heard of [true, false]) {
    const one = await asked();
    const before = authority.issued;
    const finalized = times("finalize");
    authority.twist = (step, reply) => {
      if (step === "finalize" && !heard) return "unheard";
      return step === "order" && times("finalize") > finalized ? how(reply) : reply;
    };
    expect(await act(one.command)).toMatchObject({ result: "unknown", code, certificate: null });
    expect(authority.issued - before).toBe(1);
    await nothingLeft(one);
  }
});

test.each<[Step, string]>([
  ["newOrder", "failed"],
  ["authorization", "failed"],
  ["finalize", "unknown"],
])("a command's time that is over at %s ends its dealings with the authority: %s", async (last, result) => {
  const one = await asked();
  const found = await see(one.command);
  const time = new AbortController();
  let after = 0;
  authority.twist = (step, reply) => {
    if (time.signal.aborted) after += 1;
    if (step === last) time.abort();
    return reply;
  };
  const own = errand(time.signal);
  expect(await act(one.command, {}, own, found)).toMatchObject({ result, code: "deadline", certificate: null });
  expect(after).toBe(0);
  // Nothing is changed in the zone any more either: the next start takes the records away.
  const { action, args, resource } = one.command;
  await action.clear?.(gateFor(action, args, resource, { phase: "beside" }).gate, args, { ...errand(), id: own.id });
  await nothingLeft(one);
});

test("a note that cannot be written any more takes nothing from what was issued", async () => {
  const full = { on: false };
  const disk = {
    ...HASTY.disk,
    replace(...words: Parameters<typeof HASTY.disk.replace>) {
      if (full.on && words[0].includes("/orders/")) throw new DiskError("ENOSPC", words[0], "the disk is full");
      HASTY.disk.replace(...words);
    },
  };
  const one = await asked({ host: { ...HASTY, disk } });
  authority.twist = (step, reply) => {
    full.on ||= step === "certificate";
    return reply;
  };
  const done = await act(one.command);
  expect(done).toMatchObject({ result: "succeeded", changed: [{ what: "certificate" }] });
  expect(done.words).toContain("the order's note is as it was");
});

test("an order that is worked on is waited for, as often as the authority says", async () => {
  const one = await asked();
  let processing = 0;
  authority.twist = (step, reply) => {
    const body = reply.body as { status: string };
    if ((step !== "order" && step !== "finalize") || body.status !== "valid" || processing++ >= 4) return reply;
    return json(200, { ...body, status: "processing" }, { "retry-after": "1" });
  };
  expect(await act(one.command)).toMatchObject({ result: "succeeded", code: null });
  expect(processing).toBeGreaterThan(4);
});

test("one that is worked on for ever is unknown, and its records are gone", async () => {
  const clock = { ...HASTY.clock, monotonic: () => host.clock.monotonic() * 20 };
  const one = await asked({ host: { ...HASTY, clock } });
  authority.twist = (step, reply) =>
    (step === "order" || step === "finalize") &&
    reply.status !== 0 &&
    (reply.body as { status: string }).status === "valid"
      ? json(200, { ...(reply.body as object), status: "processing" })
      : reply;
  expect(await act(one.command)).toMatchObject({ result: "unknown", code: "authority-slow", certificate: null });
  await nothingLeft(one);
});

test("an order that became invalid after all: failed, with the authority's code", async () => {
  const one = await asked();
  authority.twist = (step, reply) =>
    step === "finalize" || (step === "order" && (reply.body as { status?: string } | null)?.status === "valid")
      ? json(200, { ...(reply.body as object), status: "invalid", error: problem(403, "caa").body })
      : reply;
  expect(await act(one.command)).toMatchObject({ result: "failed", code: "caa", certificate: null });
  await nothingLeft(one);
});

test("suspended once records are in the zone: they stay, the outcome says so, and the next start takes them away", async () => {
  const one = await asked();
  const found = await see(one.command);
  const own = errand();
  const beforeChange = () => {
    if (times("newOrder") > 0 && authority.came.includes("challenge")) throw new Halted("suspended");
  };
  const done = await act(one.command, { beforeChange }, own, found);
  const standing = await challengesIn(bind);
  expect(done).toMatchObject({ result: "failed", code: "suspended", certificate: null });
  expect(standing).toHaveLength(NAMES.length);
  expect(done.changed.map(({ what, to }) => `${what.replace(" TXT", "")} ${to}`).sort()).toEqual(standing);
  expect(done.words).toContain("is left in the zone: suspended");
  const { action, args, resource } = one.command;
  const { gate, operations } = gateFor(action, args, resource, { phase: "beside" });
  await action.clear?.(gate, args, own);
  expect(operations.filter(({ changes }) => changes).map(({ operation }) => operation)).toEqual([
    "dns.update",
    "dns.update",
  ]);
  expect(await challengesIn(bind)).toEqual([]);
  expect(await recall(one.command, found, own)).toMatchObject({ result: "failed", code: "not-issued", changed: [] });
});

test("what an earlier command left at the same names goes with the next", async () => {
  const one = await asked();
  const beforeChange = () => {
    if (authority.came.includes("challenge")) throw new Halted("suspended");
  };
  await act(one.command, { beforeChange });
  expect(await challengesIn(bind)).toHaveLength(NAMES.length);
  expect(await act(one.command)).toMatchObject({ result: "succeeded", code: null });
  expect(await challengesIn(bind)).toEqual([]);
});

test("a record of somebody else's at the same name stays", async () => {
  const name = `_acme-challenge.${NAMES[0]}`;
  // Theirs is put there by a program that is waited for: nothing is served meanwhile.
  await authority.stop();
  bind.byOther(`update add ${name} 300 TXT "theirs"`);
  authority = await startAuthority();
  try {
    const one = await asked();
    expect(await act(one.command)).toMatchObject({ result: "succeeded", code: null });
    expect(await challengesIn(bind)).toEqual([`${name} theirs`]);
  } finally {
    await authority.stop();
    bind.byOther(`update delete ${name} TXT`);
  }
});

test("a zone that the provider does not have is missing, and a name outside of it is too", async () => {
  for (const wish of [{ authority: "acme:test/zone/other.example" }, { names: ["a.other.example"] }]) {
    const { command } = await asked(wish);
    const { gate } = gateFor(command.action, command.args, command.resource, { phase: "read" });
    expect(await command.action.describe(gate, command.args, errand())).toHaveProperty("missing");
  }
  expect(authority.came).toEqual([]);
});

test("a directory that cannot be reached is no state", async () => {
  const { command } = await asked();
  await authority.stop();
  await expect(see(command)).rejects.toThrow(CallFailed);
  authority = await startAuthority();
});
