import { describe, expect, test } from "bun:test";
import { type AgentState, verify } from "../../agent/verify.ts";
import type { Command } from "../../agent/wire/parse.ts";
import { isRefusal } from "../../policy/refusal.ts";

const NOW = 1_800_000_000;
const ID = "01936d00-0000-7000-8000-000000000001";
const AGENT = "spiffe://vendor.example/cluster/prod-eu-1/agent";

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
