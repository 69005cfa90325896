import { describe, expect, test } from "bun:test";
import type { Entry, EntryBody } from "../../agent/audit/entry.ts";
import { emptyMemory, fold } from "../../agent/audit/memory.ts";
import { timeText } from "../../agent/audit/time.ts";
import { type AgentState, verify } from "../../agent/verify.ts";
import type { Command } from "../../agent/wire/parse.ts";
import { isRefusal } from "../../policy/refusal.ts";
import { intent, outcome, started } from "../audit/world.ts";

const NOW = 1_800_000_000;
const ID = idAt(NOW);
const AGENT = "spiffe://vendor.example/cluster/prod-eu-1/agent";

function idAt(seconds: number): string {
  const time = Math.round(seconds * 1000)
    .toString(16)
    .padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000001`;
}

function command(claims: Record<string, unknown> = {}, digest = `sha256:${"a".repeat(64)}`): Command {
  const whole = {
    iss: "vendor.example",
    aud: AGENT,
    jti: ID,
    iat: NOW - 10,
    exp: NOW + 600,
    epoch: 3,
    by: "maria",
    why: "load",
    dry_run: false,
    action: "scale",
    args: { group: "g", count: 1 },
    ...claims,
  };
  return {
    signed: { text: "x", digest, kid: "k", payload: "" },
    claims: whole,
    asked: { action: "scale", args: { group: "g", count: 1 } },
  } as unknown as Command;
}
function state(of: Partial<AgentState> = {}): AgentState {
  return {
    trustDomain: "vendor.example",
    agentId: AGENT,
    epoch: 3,
    enrolledAt: NOW - 1000,
    now: NOW,
    ids: new Map(),
    waits: null,
    suspended: null,
    clockAgrees: true,
    ...of,
  };
}
function code(of: Command, at: AgentState): string {
  const judged = verify(of, at);
  return isRefusal(judged) ? judged.code : "verified";
}

describe("verify", () => {
  test("a command for this agent, now, for the first time, is verified", () => {
    expect(code(command(), state())).toBe("verified");
  });
  const cases: [string, Record<string, unknown>, Partial<AgentState>, string][] = [
    ["another issuer", { iss: "other.example" }, {}, "verify.issuer"],
    ["another audience", { aud: `${AGENT}/x` }, {}, "verify.audience"],
    ["an older epoch", { epoch: 2 }, {}, "verify.epoch"],
    ["a newer epoch", { epoch: 4 }, {}, "verify.epoch"],
    ["expired at this second", { exp: NOW }, {}, "verify.expired"],
    ["one more second than a day", { iat: NOW, exp: NOW + 86_401 }, {}, "verify.lifetime"],
    ["an end before its beginning", { iat: NOW, exp: NOW - 1 }, {}, "verify.lifetime"],
    ["an id that is a day older than `iat`", { jti: idAt(NOW - 10 - 86_400) }, {}, "verified"],
    ["an id that is older than that", { jti: idAt(NOW - 10.001 - 86_400) }, {}, "verify.id-time"],
    ["an id that is a day newer than `iat`", { jti: idAt(NOW - 10 + 86_400) }, {}, "verified"],
    ["an id that is newer than that", { jti: idAt(NOW - 9.999 + 86_400) }, {}, "verify.id-time"],
    ["61 s in the future", { iat: NOW + 61, exp: NOW + 600 }, {}, "verify.not-yet-valid"],
    ["60 s in the future", { iat: NOW + 60, exp: NOW + 600 }, {}, "verified"],
    ["issued before the enrolment", { iat: NOW - 1061 }, {}, "verify.before-enrolment"],
    ["the switch off", {}, { suspended: "maintenance" }, "verify.suspended"],
    ["a clock that jumped", {}, { clockAgrees: false }, "verify.clock"],
    [
      "a known id with the same bytes",
      {},
      { ids: new Map([[ID, { digest: `sha256:${"a".repeat(64)}`, index: 7 }]]) },
      "verify.replayed",
    ],
    [
      "a known id with other bytes",
      {},
      { ids: new Map([[ID, { digest: `sha256:${"b".repeat(64)}`, index: 7 }]]) },
      "verify.id-reused",
    ],
    [
      "a known id, also when expired",
      { exp: NOW - 5 },
      { ids: new Map([[ID, { digest: `sha256:${"a".repeat(64)}`, index: 7 }]]) },
      "verify.replayed",
    ],
  ];
  for (const [what, claims, at, expected] of cases) {
    test(`${what}: ${expected}`, () => expect(code(command(claims), state(at))).toBe(expected));
  }
});

test("an id is not taken again by another command, however soon the first one expired and however long the log has become", () => {
  const memory = emptyMemory(null);
  let index = 0;
  const add = (body: EntryBody, at: number): void => {
    const entry = { ...body, v: 1, index: index++, cluster: "c", epoch: 3, time: timeText(at * 1000) };
    fold(memory, entry as Entry);
  };
  add({ ...intent(ID), exp: NOW + 60 } as EntryBody, NOW);
  add(outcome(ID, 0), NOW);
  const said = new Set<string>();
  for (let at = NOW + 121; at < NOW + 3 * 86_400; at += 1800) {
    for (let entries = 0; entries < 2048; entries++) add(started, at);
    // Any `iat` that could let it be taken: its own time, the earliest that has not expired yet, the latest.
    for (const iat of [NOW, NOW + 60, at - 86_400, at, at + 60]) {
      const other = command({ iat, exp: iat + 86_400 }, `sha256:${"b".repeat(64)}`);
      said.add(code(other, state({ now: at, enrolledAt: NOW - 86_400, ids: memory.ids })));
    }
  }
  expect(said).toEqual(new Set(["verify.id-reused", "verify.expired", "verify.id-time"]));
  expect(memory.ids.size).toBe(0);
});
