import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ownTime } from "../../control/rollout/clock.ts";
import { type CommandFact, decideCluster, decideLane, type Facts } from "../../control/rollout/decide.ts";
import { assign, parseLanes } from "../../control/rollout/lanes.ts";
import { limitOf, MAX_ATTEMPTS, OVERDUE_MS, parseLimit, RETRY_MS, STEP_MS } from "../../control/rollout/limits.ts";
import { NEVER } from "../../control/rollout/schema.ts";
import { frameOf, targetOf } from "../../control/rollout/target.ts";

const SOAK = 600_000;
const WAIT = 3600_000;
const member = { state: "sent", code: null, wanted: '["a"]', since: 0, failures: 0, gap: 0 } as const;
const at = { elapsed: 1_000_000, soakMs: SOAK, behindMs: 0, silentMs: WAIT, maySend: true };
const can = { can: "act" } as const;
const command = (more: Partial<CommandFact> = {}): CommandFact => ({
  group: "a",
  attempt: 1,
  state: "succeeded",
  code: null,
  sentMs: 0,
  ...more,
});
const facts = (commands: readonly CommandFact[], more: Partial<Facts> = {}): Facts => ({
  reach: can,
  commands,
  busy: false,
  failures: 0,
  ...more,
});

describe("a cluster", () => {
  test("that was not touched gets its commands when its lane is on, and not before", () => {
    const pending = { ...member, state: "pending", wanted: null } as const;
    expect(decideCluster(pending, facts([]), at).send).toBeNull();
    expect(decideCluster(pending, facts([]), { ...at, maySend: false })).toMatchObject({ send: "nothing", due: NEVER });
  });

  test.each(["suspended", "refused", "cut-off"] as const)(
    "that cannot act is put aside as %s, and nothing is sent",
    (state) => {
      const away = facts([], { reach: { can: "not", state, why: "x" } });
      expect(decideCluster({ ...member, state: "pending" }, away, at)).toMatchObject({
        state,
        code: "x",
        send: "nothing",
      });
    },
  );

  test("soaks from the moment at which all of its commands succeeded, and is well after the whole soak time", () => {
    const both = { ...member, wanted: '["a","b"]' };
    const half = facts([command(), command({ group: "b", state: "intent" })]);
    expect(decideCluster(both, half, at).state).toBe("sent");
    const begun = decideCluster(both, facts([command(), command({ group: "b" })]), at);
    expect(begun).toMatchObject({ state: "soaking", since: at.elapsed, due: at.elapsed + SOAK, arrived: true });
    const soaking = { ...both, state: "soaking", since: at.elapsed } as const;
    const all = facts([command(), command({ group: "b" })]);
    expect(decideCluster(soaking, all, { ...at, elapsed: at.elapsed + SOAK - 1 }).state).toBe("soaking");
    expect(decideCluster(soaking, all, { ...at, elapsed: at.elapsed + SOAK }).state).toBe("healthy");
  });

  test("that was away while it soaked soaks anew; one that fails meanwhile has failed", () => {
    const soaking = { ...member, state: "soaking", since: 0 } as const;
    expect(decideCluster({ ...soaking, gap: 1 }, facts([command()]), at)).toMatchObject({
      state: "soaking",
      since: at.elapsed,
    });
    expect(decideCluster(soaking, facts([command()], { failures: 1 }), at)).toMatchObject({
      state: "failed",
      code: "since",
    });
    const away = facts([command()], { reach: { can: "not", state: "suspended", why: "by-customer" } });
    const aside = decideCluster(soaking, away, at);
    expect(aside.state).toBe("suspended");
    expect(decideCluster({ ...soaking, state: "suspended" }, facts([command()]), at)).toMatchObject({
      state: "soaking",
      since: at.elapsed,
    });
  });

  test("gets nothing while a command of it may still run, of another rollout too", () => {
    for (const state of ["queued", "handed-out", "waiting", "intent"] as const)
      expect(decideCluster(member, facts([command({ state, sentMs: at.elapsed })]), at).send).toBe("nothing");
    expect(decideCluster(member, facts([command({ state: "expired" })], { busy: true }), at)).toMatchObject({
      state: "cut-off",
      code: "busy",
      send: "nothing",
    });
  });

  test("gets a new command when the old one ran out or lost its agent, and only for the groups that miss it", () => {
    const both = { ...member, wanted: '["a","b"]' };
    for (const [state, code] of [
      ["expired", null],
      ["cancelled", "rollout"],
      ["unknown", "epoch"],
    ] as const)
      expect(decideCluster(both, facts([command(), command({ group: "b", state, code })]), at).send).toEqual(["b"]);
  });

  test("that refused is asked again after a while, so many times in all, and then never", () => {
    const refused = (count: number) =>
      facts(
        Array.from({ length: count }, (_, n) => command({ attempt: n + 1, state: "refused", code: "policy.when" })),
      );
    const first = decideCluster(member, refused(1), at);
    expect(first).toMatchObject({ state: "refused", code: "policy.when", send: "nothing", due: at.elapsed + RETRY_MS });
    const aside = { ...member, state: "refused", since: at.elapsed } as const;
    expect(decideCluster(aside, refused(1), { ...at, elapsed: at.elapsed + RETRY_MS }).send).toEqual(["a"]);
    expect(decideCluster(aside, refused(MAX_ATTEMPTS), { ...at, elapsed: at.elapsed + RETRY_MS })).toMatchObject({
      send: "nothing",
      due: NEVER,
    });
  });

  test("has failed when a command failed, when nobody can tell, and when nothing was heard of it for hours", () => {
    expect(decideCluster(member, facts([command({ state: "failed", code: "rolled-back" })]), at)).toMatchObject({
      state: "failed",
      code: "rolled-back",
    });
    expect(decideCluster(member, facts([command({ state: "unknown", code: null })]), at).state).toBe("failed");
    const silent = facts([command({ state: "intent", sentMs: 0 })]);
    expect(decideCluster(member, silent, { ...at, elapsed: OVERDUE_MS })).toMatchObject({
      state: "failed",
      code: "no-outcome",
    });
  });
});

describe("a cluster of which nothing is heard any more", () => {
  const gone = { reach: { can: "not", state: "cut-off", why: "not-heard-from" } } as const;

  test.each(["handed-out", "waiting", "intent", "succeeded"] as const)(
    "and that had been touched (%s) holds its lane, and has failed after the wait",
    (state) => {
      const touched = facts([command({ state, sentMs: at.elapsed })], gone);
      const aside = decideCluster({ ...member, state: "soaking" }, touched, at);
      expect(aside).toMatchObject({ state: "cut-off", code: "silent", since: at.elapsed, send: "nothing" });
      const silent = { ...member, state: "cut-off", code: "silent", since: at.elapsed } as const;
      const last = decideCluster(silent, touched, { ...at, elapsed: at.elapsed + WAIT - 1 });
      expect(last).toMatchObject({ state: "cut-off", code: "silent", since: at.elapsed, due: at.elapsed + WAIT });
      expect(decideCluster(silent, touched, { ...at, elapsed: at.elapsed + WAIT })).toMatchObject({
        state: "failed",
        code: "silent",
        due: NEVER,
      });
      // From when on it is silent counts, not since when it was cut off for another reason.
      expect(decideCluster({ ...silent, code: "busy", since: 0 }, touched, at)).toMatchObject({ since: at.elapsed });
      expect(decideCluster(silent, facts([command()]), { ...at, elapsed: at.elapsed + WAIT }).state).toBe("soaking");
    },
  );

  test("and that was never touched, or is to go back, is left behind", () => {
    const silent = { ...member, state: "cut-off", code: "silent", since: 0 } as const;
    const later = { ...at, elapsed: 9 * WAIT };
    for (const state of ["queued", "expired", "refused", "cancelled"] as const)
      expect(decideCluster(silent, facts([command({ state, sentMs: later.elapsed })], gone), later)).toMatchObject({
        state: "cut-off",
        code: "not-heard-from",
      });
    const back = { ...at, elapsed: WAIT * 2, silentMs: null };
    expect(decideCluster(silent, facts([command()], gone), back)).toMatchObject({
      state: "cut-off",
      code: "not-heard-from",
    });
  });
});

describe("lanes", () => {
  const rollout = {
    lane: 1,
    lane_since: 0,
    elapsed: 1000,
    wait_ms: 3600_000,
    max_failed: "0",
    max_refused: "50%",
    lanes: "[10,25,50,100]",
    phase: "forward",
  } as const;
  const none = { begun: 40, healthy: 40, failed: 0, failedCanaries: 0, refused: 0, active: 0, parked: 0 };

  test("the next one begins when nothing is under way, and what cannot act is waited for only so long", () => {
    expect(decideLane(rollout, none).step).toBe("next-lane");
    expect(decideLane(rollout, { ...none, active: 1 }).step).toBe("stay");
    expect(decideLane(rollout, { ...none, parked: 1 }).step).toBe("stay");
    expect(decideLane({ ...rollout, elapsed: 3600_000 }, { ...none, parked: 1 }).step).toBe("next-lane");
    expect(decideLane({ ...rollout, lane: 3 }, none).step).toBe("finish");
  });

  test("while nobody is well with it, one cluster more is tried instead; going back waits for nobody, and the last one ends", () => {
    const nobody = { ...none, healthy: 0, parked: 1 };
    const late = { ...rollout, elapsed: 3600_000 };
    expect(decideLane(late, nobody).step).toBe("widen");
    expect(decideLane(rollout, nobody).step).toBe("stay");
    expect(decideLane(late, { ...nobody, healthy: 1 }).step).toBe("next-lane");
    expect(decideLane({ ...late, phase: "back" }, nobody).step).toBe("next-lane");
    expect(decideLane({ ...late, lane: 3 }, nobody).step).toBe("finish");
  });

  test("it stops past the limit: in lanes up to 10 % and for canaries at the first failure", () => {
    const some = { ...rollout, max_failed: "5%" };
    expect(decideLane(some, { ...none, failed: 2 }).step).toBe("next-lane");
    expect(decideLane(some, { ...none, failed: 3 })).toEqual({ step: "stop", because: "3 failed, and 2 may" });
    expect(decideLane({ ...some, lane: 0 }, { ...none, failed: 1 }).step).toBe("stop");
    expect(decideLane(some, { ...none, failed: 1, failedCanaries: 1 }).step).toBe("stop");
    expect(decideLane(rollout, { ...none, refused: 20 }).step).toBe("next-lane");
    expect(decideLane(rollout, { ...none, refused: 21 }).step).toBe("stop");
    expect(decideLane({ ...rollout, phase: "back" }, { ...none, failed: 9 }).step).toBe("next-lane");
  });

  test("who is in which one is decided by the names and the checksum alone; each ends at its percentage, rounded up", () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(names, fc.nat(), (clusters, seed) => {
        const canaries = clusters.slice(0, seed % Math.min(clusters.length + 1, 5));
        const made = assign(clusters, canaries, "sha256:1", [10, 25, 50, 100]);
        expect(assign([...clusters].reverse(), canaries, "sha256:1", [10, 25, 50, 100])).toEqual(made);
        expect(made.map(({ cluster }) => cluster).toSorted()).toEqual(clusters.toSorted());
        expect(made.slice(0, canaries.length)).toEqual(canaries.map((cluster) => ({ cluster, lane: 0, canary: true })));
        for (const [lane, percent] of [10, 25, 50, 100].entries()) {
          const end = Math.max(Math.ceil((clusters.length * percent) / 100), canaries.length);
          expect(made.filter((one) => one.lane <= lane)).toHaveLength(end);
        }
      }),
    );
    const many = Array.from({ length: 100 }, (_, n) => `c${n}`);
    const first = (checksum: string) => assign(many, [], checksum, [10, 100]).filter(({ lane }) => lane === 0);
    expect(first("sha256:1")).not.toEqual(first("sha256:2"));
  });

  test.each(["", "10", "10,10,100", "50,25,100", "0,100", "10,101", "10, 100", "a"])("%p are none", (text) => {
    expect(() => parseLanes(text)).toThrow("are no lanes");
  });

  test("limits are numbers or percentages; part of a cluster does not allow a failure", () => {
    expect(limitOf(parseLimit("3", "x"), 1000, Math.floor)).toBe(3);
    expect(limitOf(parseLimit("5%", "x"), 39, Math.floor)).toBe(1);
    expect(limitOf("50%", 1, Math.ceil)).toBe(1);
    for (const text of ["-1", "1.5", "101%", "5 %", ""])
      expect(() => parseLimit(text, "--max-failed")).toThrow("is no --max-failed");
  });
});

test("a rollout's own time runs only while a driver looks, and not faster with two", () => {
  let now = 0;
  const [one, other] = [ownTime(() => now, STEP_MS), ownTime(() => now, STEP_MS)];
  let kept = 0;
  const look = (time: typeof one) => (kept = time.advance(1, kept));
  look(one);
  look(other);
  for (let second = 0; second < 100; second++) {
    now += 1000;
    look(second % 2 === 0 ? one : other);
  }
  expect(kept).toBeGreaterThanOrEqual(98_000);
  expect(kept).toBeLessThanOrEqual(100_000);
  now += 86_400_000;
  const before = kept;
  look(one);
  expect(kept).toBeGreaterThan(before);
  expect(kept).toBeLessThanOrEqual(before + STEP_MS);
});

describe("a target", () => {
  const D = (digit: string) => `sha256:${digit.repeat(64)}`;
  const content = { agent: null, images: [{ name: "broker", digest: D("2"), packages: [] }], version: "1.0.0" };
  const parameters = (cloud: string) => ({
    cluster: "c",
    place: { cloud, account: cloud === "local" ? "" : "1", region: cloud === "local" ? "" : "r" },
    images: { broker: "old" },
    groups: { g: { image: "broker", count: 1 }, h: { image: "broker", count: 2 } },
    zones: [],
    authorities: [],
    names: [],
    policy: null,
  });

  test("names an image by its digest on a machine of one's own, elsewhere by where it lies; only groups that differ are wanted", () => {
    const own = targetOf(frameOf(content, "x"), parameters("local"), {}, { g: { image: D("2"), count: 1 } });
    expect(own).toMatchObject({ wanted: ["h"], parameters: { images: { broker: D("2") } } });
    const cloud = targetOf(frameOf(content, "x"), parameters("aws"), { "aws/1/r": { broker: "ami-2" } }, {});
    expect(cloud).toMatchObject({ wanted: ["g", "h"], parameters: { images: { broker: "ami-2" } } });
  });

  test("is refused where nobody says where an image lies, and where a group runs one that is not in it", () => {
    expect(targetOf(frameOf(content, "x"), parameters("aws"), {}, {})).toEqual({
      fault: "nobody says where the image broker lies in aws/1/r",
    });
    const strange = { ...parameters("local"), groups: { g: { image: "other", count: 1 } } };
    expect(targetOf(frameOf(content, "x"), strange, {}, {})).toMatchObject({ fault: expect.stringContaining("other") });
  });
});
