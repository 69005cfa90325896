import { afterEach, describe, expect, test } from "bun:test";
import { caught, failureOf } from "./fixture.ts";
import { type FakeGroup, group, instance, OWN, refusal, scaleWorld } from "./groups.ts";

type World = Awaited<ReturnType<typeof scaleWorld>>;
const open: World[] = [];
async function world(start: FakeGroup | null): Promise<World> {
  const made = await scaleWorld(start);
  open.push(made);
  return made;
}
afterEach(() => {
  for (const made of open.splice(0)) made.close();
});

const wasSet = ({ names }: World) => names().filter((name) => name === "SetDesiredCapacity").length;
const count = (from: number, to: number) => ({ what: "count", from: String(from), to: String(to) });
/** After the change, the group becomes this at the given read. */
function becomes(made: World, at: number, next: () => FakeGroup): void {
  made.state.onRead = (nth) => {
    if (nth >= at) made.state.group = next();
  };
}

describe("a group is described", () => {
  test("by its desired capacity, found on whatever page it stands", async () => {
    const made = await world(group(7));
    made.state.pages = 3;
    expect(await made.describe()).toEqual({ state: { count: 7 } });
    expect(made.names().filter((name) => name === "DescribeAutoScalingGroups").length).toBe(3);
  });

  test("a group that is not there is missing", async () => {
    expect(await (await world(null)).describe()).toEqual({
      missing: "there is no Auto Scaling group brokers in eu-west-1",
    });
  });

  test.each([
    [
      "of another account",
      { arn: "arn:aws:autoscaling:eu-west-1:999999999999:autoScalingGroup:1:autoScalingGroupName/brokers" },
      "group-elsewhere",
    ],
    [
      "of another region",
      { arn: "arn:aws:autoscaling:us-east-1:111122223333:autoScalingGroup:1:autoScalingGroupName/brokers" },
      "group-elsewhere",
    ],
    ["that is being deleted", { status: "Delete in progress" }, "group-deleting"],
    ["that counts vCPUs", { units: "vcpu" }, "group-weighted"],
    ["whose instances have weights", { instances: [instance(1, { weight: "4" })] }, "group-weighted"],
    ["whose instances have no ids", { instances: [{ id: "x" }] }, "malformed"],
    ["that the agent itself runs in", { instances: [instance(1), { id: OWN }] }, "own-group"],
  ] as const)("a group %s is refused", async (_, more, status) => {
    const made = await world(group(2, more as Partial<FakeGroup>));
    expect((await failureOf(made.describe())).status).toBe(status);
  });
});

describe("the group that the agent itself runs in is never scaled, whatever a rule says", () => {
  test("its machine's tag names it before any call", async () => {
    const made = await world(group(2));
    expect(made.provider.ownGroups).toEqual([]);
    made.state.tag = "agents";
    const { awsProvider } = await import("../../providers/aws/aws.ts");
    const { configFor, SETTING } = await import("./fixture.ts");
    const port = new URL(made.url).origin;
    expect((await awsProvider(SETTING, configFor(port))).ownGroups).toEqual(["agents"]);
  });

  test("without the tag its instances do, also when it joined the group after it was described", async () => {
    const made = await world(group(2));
    expect(await made.describe()).toEqual({ state: { count: 2 } });
    made.state.group = group(2, { instances: [instance(1), { id: OWN }] });
    expect(await made.execute(3, 2)).toMatchObject({ result: "failed", code: "own-group", changed: [] });
    expect(made.provider.ownGroups).toEqual(["brokers"]);
    expect(wasSet(made)).toBe(0);
  });

  test("a machine that cannot be told which one it is scales nothing", async () => {
    const made = await world(group(2));
    made.state.instance = null;
    expect((await failureOf(made.describe())).status).toBe("own-instance");
    expect(await made.execute(3, 2)).toMatchObject({ result: "failed", code: "own-instance" });
    expect(wasSet(made)).toBe(0);
  });
});

describe("a group is scaled", () => {
  test("up: it waits until as many are in service, and says which came", async () => {
    const made = await world(group(2));
    const pending = instance(3, { lifecycle: "Pending" });
    made.state.onRead = (nth) => {
      const come = { ...pending, lifecycle: nth >= 5 ? "InService" : "Pending" };
      made.state.group = { ...group(3), instances: [instance(1), instance(2), come] };
    };
    const done = await made.execute(3, 2);
    expect(done).toEqual({
      ...{ result: "succeeded", code: null, certificate: null, words: null },
      changed: [count(2, 3), { what: `instance ${pending.id}`, from: null, to: "InService" }],
    });
    expect(wasSet(made)).toBe(1);
    const set = made.asked.find(({ body }) => body.includes("SetDesiredCapacity"));
    expect(Object.fromEntries(new URLSearchParams(set?.body))).toMatchObject({
      AutoScalingGroupName: "brokers",
      DesiredCapacity: "3",
      HonorCooldown: "false",
    });
    expect(made.recorded.find(({ operation }) => operation === "autoscaling:SetDesiredCapacity")).toMatchObject({
      changes: true,
      status: "ok",
      resource: "brokers",
    });
  });

  test("down: not while one is still on its way out, or not well", async () => {
    const made = await world(group(3));
    const seen: string[] = [];
    made.state.onRead = (nth) => {
      const third = nth < 6 ? [instance(3, { lifecycle: "Terminating" })] : [];
      const health = nth < 4 ? "Unhealthy" : "Healthy";
      seen.push(`${third.length} ${health}`);
      made.state.group = { ...group(2), instances: [instance(1), instance(2, { health }), ...third] };
    };
    const done = await made.execute(2, 3);
    expect(done).toMatchObject({ result: "succeeded", changed: [count(3, 2), { from: "InService", to: null }] });
    expect(seen).toEqual(["1 Unhealthy", "1 Unhealthy", "1 Healthy", "1 Healthy", "0 Healthy"]);
  });

  test("with a state of an instance that is none of AWS's words: it is not written down", async () => {
    const made = await world(group(2));
    const odd = [instance(8, { lifecycle: "In\u001b[31mService" }), instance(9, { lifecycle: "x".repeat(33) })];
    becomes(made, 2, () => group(3, { instances: [...group(3).instances, ...odd] }));
    const done = await made.execute(3, 2, 400);
    expect(done.changed.slice(-2).map(({ to }) => to)).toEqual(["unknown", "unknown"]);
  });

  test("past an instance that an operator put on Standby", async () => {
    const standby = instance(9, { lifecycle: "Standby" });
    const made = await world(group(2, { instances: [instance(1), instance(2), standby] }));
    becomes(made, 2, () => group(3, { instances: [...group(3).instances, standby] }));
    expect(await made.execute(3, 2)).toMatchObject({ result: "succeeded", changed: [count(2, 3), { from: null }] });
  });

  test("to the unhealthy one's replacement: an instance that is not well does not count", async () => {
    const made = await world(group(2));
    made.state.onRead = (nth) => {
      const health = nth < 5 ? "Unhealthy" : "Healthy";
      made.state.group = group(3, { instances: [instance(1), instance(2, { health }), instance(3)] });
    };
    expect(await made.execute(3, 2)).toMatchObject({ result: "succeeded" });
    expect(made.state.reads).toBe(5);
  });

  test("the count that it has already: nothing is set", async () => {
    const made = await world(group(3));
    expect(await made.execute(3, 3)).toMatchObject({ result: "succeeded", changed: [] });
    expect(wasSet(made)).toBe(0);
  });

  test("a read that still shows the count of before is waited for", async () => {
    const made = await world(group(2));
    made.state.onSet = () => ({});
    becomes(made, 6, () => group(3));
    expect(await made.execute(3, 2)).toMatchObject({ result: "succeeded" });
  });
});

describe("what cannot become true is not begun", () => {
  test.each([
    ["above the group's own maximum", group(5, { max: 6 }), 7, "above-group-max"],
    ["below the group's own minimum", group(5, { min: 3 }), 2, "below-group-min"],
    ["up while launching is suspended", group(5, { suspended: ["AZRebalance", "Launch"] }), 6, "launch-suspended"],
    ["down while terminating is suspended", group(5, { suspended: ["Terminate"] }), 4, "terminate-suspended"],
    [
      "down below the protected instances",
      group(3, { instances: [1, 2, 3].map((n) => instance(n, { kept: n < 3 })) }),
      1,
      "protected",
    ],
  ] as const)("%s", async (_, start, wanted, code) => {
    const made = await world(start as FakeGroup);
    expect(await made.execute(wanted, start.desired)).toMatchObject({ result: "failed", code, changed: [] });
    expect(wasSet(made)).toBe(0);
  });

  test("a group that shrinks to its protected instances is scaled, and one that grows past a suspended Terminate", async () => {
    const kept = await world(group(3, { instances: [1, 2, 3].map((n) => instance(n, { kept: n < 3 })) }));
    becomes(kept, 2, () => group(2));
    expect(await kept.execute(2, 3)).toMatchObject({ result: "succeeded" });
    const grows = await world(group(2, { suspended: ["Terminate"] }));
    becomes(grows, 2, () => group(3));
    expect(await grows.execute(3, 2)).toMatchObject({ result: "succeeded" });
  });

  test("another count than was judged: concurrent, nothing is set", async () => {
    const made = await world(group(4));
    expect(await made.execute(3, 2)).toMatchObject({ result: "failed", code: "concurrent", changed: [] });
    expect(wasSet(made)).toBe(0);
  });
});

describe("a change by someone else is seen", () => {
  test("while it is waited for", async () => {
    const made = await world(group(2));
    becomes(made, 3, () => group(7, { instances: group(2).instances }));
    expect(await made.execute(3, 2)).toMatchObject({ result: "failed", code: "concurrent", changed: [count(2, 7)] });
  });

  test("when it was put back", async () => {
    const made = await world(group(2));
    made.state.onRead = (nth) => {
      made.state.group = group(nth < 4 ? 3 : 2, { instances: group(2).instances });
    };
    expect(await made.execute(3, 2)).toMatchObject({ result: "failed", code: "concurrent", changed: [] });
  });

  test("between our read and our call, in the words of AWS's own record", async () => {
    const cause = (from: number, to: number) =>
      `At 2026-11-24T09:14:07Z a user request explicitly set group desired capacity changing the desired capacity from ${from} to ${to}.`;
    const made = await world(group(2));
    made.state.activities = [{ id: "old", status: "Successful", cause: cause(9, 2) }];
    made.state.onSet = () => {
      made.state.activities.unshift({ id: "new", status: "Successful", cause: cause(1, 3) });
      made.state.group = group(3);
      return {};
    };
    expect(await made.execute(3, 2)).toMatchObject({ result: "failed", code: "concurrent" });
    const alone = await world(group(2));
    alone.state.activities = [{ id: "old", status: "Successful", cause: cause(9, 2) }];
    alone.state.onSet = () => {
      alone.state.activities.unshift({ id: "new", status: "Successful", cause: cause(2, 3) });
      alone.state.group = group(3);
      return {};
    };
    expect(await alone.execute(3, 2)).toMatchObject({ result: "succeeded" });
  });
});

describe("what did not become true says why at the deadline", () => {
  const failed = (message: string) => ({ id: "new", status: "Failed", message });
  test.each([
    [
      "capacity",
      failed("We currently do not have sufficient m5.large capacity in the Availability Zone you requested"),
    ],
    ["quota", failed("You have requested more vCPU capacity than your current vCPU limit of 8 allows")],
    ["launch-denied", failed("You are not authorized to perform this operation. UnauthorizedOperation")],
    ["activity-failed", failed("The image id '[ami-0]' does not exist")],
    ["deadline", { id: "new", status: "InProgress" }],
  ])("%s", async (code, activity) => {
    const made = await world(group(2));
    made.state.activities = [{ id: "old", status: "Failed", message: "do not have sufficient capacity" }];
    made.state.onSet = () => {
      made.state.activities.unshift(activity);
      made.state.group = group(3, { instances: group(2).instances });
      return {};
    };
    const done = await made.execute(3, 2, 300);
    expect(done).toMatchObject({ result: "failed", code, changed: [count(2, 3)] });
    if ("message" in activity) expect(done.words).toContain(activity.message);
    else expect(done.words).toBeNull();
  });

  test.each([
    ["launch-suspended", group(3, { instances: group(2).instances, suspended: ["Launch"] }), 3, 2],
    ["terminate-suspended", group(2, { instances: group(3).instances, suspended: ["Terminate"] }), 2, 3],
    ["protected", group(1, { instances: group(3).instances.map((one) => ({ ...one, kept: true })) }), 1, 3],
  ] as const)("%s, when it came to be so meanwhile", async (code, after, wanted, found) => {
    const made = await world(group(found));
    made.state.onSet = () => {
      made.state.group = after as FakeGroup;
      return {};
    };
    expect(await made.execute(wanted, found, 300)).toMatchObject({ result: "failed", code });
  });
});

describe("calls that fail", () => {
  test.each([
    ["denied", refusal("AccessDenied"), "failed"],
    ["activity-in-progress", refusal("ScalingActivityInProgress"), "failed"],
    ["contention", refusal("ResourceContention"), "failed"],
    ["missing", refusal("ValidationError", "AutoScalingGroup name not found - null"), "failed"],
    ["throttled", refusal("Throttling"), "failed"],
    ["credentials-expired", refusal("ExpiredToken", "expired", 403), "failed"],
    ["wrong-region", refusal("SignatureDoesNotMatch", "Credential should be scoped to a valid region.", 403), "failed"],
    ["region-disabled", refusal("OptInRequired", "no", 403), "failed"],
  ] as const)("%s: nothing was changed, and AWS's request id is on record", async (code, reply, result) => {
    const made = await world(group(2));
    made.state.onSet = () => reply;
    expect(await made.execute(3, 2)).toMatchObject({ result, code, changed: [] });
    const row = made.recorded.find(({ operation }) => operation === "autoscaling:SetDesiredCapacity");
    expect([row?.status, row?.request]).toEqual([code, expect.stringMatching(/^req-\d+$/)]);
    expect(wasSet(made)).toBe(1);
  });

  test.each([
    ["an answer that is lost after the change", null],
    ["a 500 after the change", refusal("InternalFailure", "oh", 500)],
    ["an answer that cannot be read", { body: "<html>" }],
  ] as const)("%s: what became of it is looked up, and it is not sent again", async (_, reply) => {
    const made = await world(group(2));
    made.state.onSet = (wanted) => {
      made.state.group = group(wanted);
      return reply;
    };
    expect(await made.execute(3, 2)).toMatchObject({ result: "succeeded", changed: [count(2, 3), {}] });
    expect(wasSet(made)).toBe(1);
  });

  test("an answer that is lost, and no change to be seen: unknown, by the lost call's status", async () => {
    const made = await world(group(2));
    made.state.onSet = () => null;
    expect(await made.execute(3, 2)).toMatchObject({ result: "unknown", code: "reset", changed: [] });
    expect(wasSet(made)).toBe(1);
  });

  test.each([
    ["a third count", group(7, { instances: group(2).instances }), [count(2, 7)]],
    ["no group", null, []],
  ] as const)("an answer that is lost, and then %s: unknown, by the lost call's status", async (_, after, changed) => {
    const made = await world(group(2));
    made.state.onSet = () => {
      made.state.group = after as FakeGroup | null;
      return null;
    };
    expect(await made.execute(3, 2)).toMatchObject({ result: "unknown", code: "reset", changed: [...changed] });
  });

  test("reading is denied after the change: unknown, the change stands", async () => {
    const made = await world(group(2));
    made.state.onSet = () => {
      made.state.refuse = { operation: "DescribeAutoScalingGroups", reply: refusal("AccessDenied") };
      return {};
    };
    expect(await made.execute(3, 2)).toMatchObject({ result: "unknown", code: "denied" });
  });
});

describe("after a crash only reads say what an intent became", () => {
  test("the count is true", async () => {
    const made = await world(group(3));
    expect(await made.reconcile(3, 2)).toMatchObject({
      result: "succeeded",
      known_by: "state",
      changed: [count(2, 3)],
    });
    expect(wasSet(made)).toBe(0);
  });
  test("it becomes true while it is looked at", async () => {
    const made = await world(group(3, { instances: group(2).instances }));
    becomes(made, 4, () => group(3));
    expect(await made.reconcile(3, 2)).toMatchObject({ result: "succeeded", known_by: "state" });
  });
  test.each([
    ["the call had no effect", group(2), "interrupted"],
    ["another count", group(5), "concurrent"],
    ["the group is gone", null, "missing"],
  ] as const)("%s: failed, by state", async (_, now, code) => {
    const made = await world(now as FakeGroup | null);
    expect(await made.reconcile(3, 2)).toMatchObject({ result: "failed", code, known_by: "state" });
  });
  test("a read that still shows the count of before is waited for, before it counts as interrupted", async () => {
    const made = await world(group(2));
    becomes(made, 3, () => group(3));
    expect(await made.reconcile(3, 2)).toMatchObject({ result: "succeeded", changed: [count(2, 3)] });
    const never = await world(group(2));
    expect(await never.reconcile(3, 2)).toMatchObject({ result: "failed", code: "interrupted" });
    expect(never.state.reads).toBeGreaterThan(3);
  });
  test("a deadline that comes before that says nothing: it is asked again", async () => {
    const made = await world(group(2));
    expect(await failureOf(made.reconcile(3, 2, 60))).toMatchObject({ status: "deadline", effect: "none" });
  });
  test("a place that cannot be read is thrown, so that it is asked again", async () => {
    const made = await world(group(3));
    made.state.refuse = { operation: "DescribeAutoScalingGroups", reply: refusal("AccessDenied") };
    expect((await failureOf(made.reconcile(3, 2))).status).toBe("denied");
    made.state.refuse = null;
    made.state.group = group(3, { instances: group(2).instances });
    made.state.onRead = () => {
      made.state.refuse = { operation: "DescribeAutoScalingGroups", reply: refusal("AccessDenied") };
    };
    expect(await caught(made.reconcile(3, 2))).toMatchObject({ status: "denied" });
  });
});
