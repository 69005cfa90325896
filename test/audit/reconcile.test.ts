import { expect, test } from "bun:test";
import type { EntryBody } from "../../agent/audit/entry.ts";
import { cloudtrail, roleOfArn } from "../../agent/audit/reconcile/cloudtrail.ts";
import { addEvent, beginComparison } from "../../agent/audit/reconcile/compare.ts";
import { namedBy } from "../../agent/audit/reconcile/judge.ts";
import { addEntry, emptyLedger } from "../../agent/audit/reconcile/ledger.ts";
import { MAX_TRAIL_EVENT_BYTES } from "../../agent/limits.ts";
import {
  ACCOUNT,
  ALWAYS,
  ASKED,
  AUTHORITY,
  agentOf,
  COMMANDS,
  compared,
  type Event,
  entriesOf,
  event,
  fileOf,
  GROUP,
  intentOf,
  LOG,
  NAME,
  operation,
  outcomeOf,
  ROLE_ARN,
  readFile,
  refusedOf,
  SOMEBODY,
  seconds,
  TABLES,
  TRAIL,
  type Written,
  ZONE,
} from "./cloudtrail.ts";

/** Why the one call that is not explained is not. */
function whyNot(written: Written, ...events: Event[]): string {
  const { unexplained } = compared(written, [...TRAIL, ...events]);
  expect(unexplained.count).toBe(1);
  return unexplained.shown[0]?.why ?? "";
}

/** LOG with one entry in place of another. */
function logWith(index: number, body: EntryBody): Written {
  return LOG.map(([at, old], place) => [at, place === index ? body : old]);
}

test("a log and CloudTrail of the same minute agree: each call has its class, each operation its call", () => {
  const result = compared(LOG, TRAIL);
  expect(result).toMatchObject({
    agrees: true,
    calls: 10,
    operations: 6,
    explained: { matched: 6, read: 3, check: 1, doctor: 0, answer: 0 },
    unexplained: { count: 0 },
    missing: { count: 0 },
    absent: { edge: 0, failed: 0, reads: 0 },
    addresses: [],
  });
});

test("a change without an entry is unexplained, whatever its user agent says", () => {
  const forged = event("autoscaling:SetDesiredCapacity", "req-root", 12, { userAgent: agentOf(COMMANDS.scale) });
  expect(whyNot(LOG, forged)).toContain("a request id of its own");
  const { unexplained, agrees } = compared(LOG, [...TRAIL, forged]);
  expect(agrees).toBe(false);
  expect(unexplained.shown[0]).toMatchObject({
    operation: "autoscaling:SetDesiredCapacity",
    resources: [GROUP],
    request: "req-root",
    address: "10.20.1.7",
    error: null,
    command: COMMANDS.scale,
  });
  expect(
    whyNot(LOG, event("autoscaling:SetDesiredCapacity", "req-root", 12, { userAgent: "aws-cli/2.13.5" })),
  ).toContain("names no reeve");
  const refused = event("autoscaling:SetDesiredCapacity", "req-root", 39, { userAgent: agentOf(COMMANDS.refused) });
  expect(whyNot(LOG, refused)).toContain("never begun");
});

test("a change of our table is a change, whether the cloud says that it only read or says nothing", () => {
  for (const readOnly of [true, undefined]) {
    const forged = event("autoscaling:SetDesiredCapacity", "req-root", 12, {
      userAgent: agentOf(COMMANDS.scale),
      readOnly,
    });
    expect(whyNot(LOG, forged)).toContain("a request id of its own");
  }
});

test("what the cloud says was a change is no read of a command, even where our table has it as one", () => {
  const said = event("autoscaling:DescribeAutoScalingGroups", "req-x", 12, {
    userAgent: agentOf(COMMANDS.scale),
    readOnly: false,
  });
  expect(whyNot(LOG, said)).toContain("the cloud says that it was a change");
  const who = event("sts:GetCallerIdentity", "req-y", 12, { userAgent: agentOf(COMMANDS.scale), readOnly: false });
  expect(whyNot(LOG, who)).toContain("was a change");
});

test("a read is explained by the command that it names only within that command's table, resource and time", () => {
  const by = (command: string) => ({ userAgent: agentOf(command) });
  const read = "autoscaling:DescribeAutoScalingGroups";
  expect(whyNot(LOG, event("s3:GetObject", "r", 12, by(COMMANDS.scale)))).toContain("scale never calls");
  expect(whyNot(LOG, event(read, "r", 21, by(COMMANDS.certificate)))).toContain("issue-certificate never calls");
  const other = { autoScalingGroupNames: ["prod-eu-1-vault"] };
  expect(whyNot(LOG, event(read, "r", 12, { ...by(COMMANDS.scale), requestParameters: other }))).toContain(
    "another resource",
  );
  const zone = { hostedZoneId: "Z9", startRecordName: NAME };
  const list = event("route53:ListResourceRecordSets", "r", 31, { ...by(COMMANDS.dns), requestParameters: zone });
  expect(whyNot(LOG, list)).toContain("another resource");
  expect(whyNot(LOG, event(read, "r", 14 + 61, by(COMMANDS.scale)))).toContain("not being dealt with");
  expect(whyNot(LOG, event(read, "r", 3600 - 86_400 - 61, by(COMMANDS.scale)))).toContain("not being dealt with");
  expect(compared(LOG, [...TRAIL, event(read, "r", 14 + 59, by(COMMANDS.scale))]).agrees).toBe(true);
  expect(whyNot(LOG, event(read, "r", 12, by(crypto.randomUUID())))).toContain("knows nothing of the command");
  expect(whyNot(LOG, event(read, "r", 12, { userAgent: "reeve/0.1.0" }))).toContain("names no command");
  expect(whyNot(LOG, event(read, "r", 12, { userAgent: agentOf(COMMANDS.scale, "9.9.9") }))).toContain(
    "no reeve 9.9.9",
  );
});

test("doctor's reads are explained by their user agent, counted apart, and nothing but reads is", () => {
  const by = { userAgent: agentOf("doctor") };
  const group = { requestParameters: { autoScalingGroupNames: ["another"] } };
  const read = event("autoscaling:DescribeAutoScalingGroups", "r", 12, { ...by, ...group });
  const asked = event("iam:SimulatePrincipalPolicy", "s", 13, { ...by, readOnly: true, awsRegion: "us-east-1" });
  const { agrees, explained } = compared(LOG, [...TRAIL, read, asked]);
  expect([agrees, explained.doctor]).toEqual([true, 2]);
  const never = "names doctor, which never makes this call";
  expect(whyNot(LOG, event("autoscaling:SetDesiredCapacity", "r", 12, { ...by, readOnly: true }))).toContain(never);
  expect(whyNot(LOG, event("iam:ListRoles", "r", 12, { ...by, readOnly: true }))).toContain(never);
  expect(whyNot(LOG, event("route53:GetChange", "r", 12, { ...by, readOnly: false }))).toContain(never);
  expect(whyNot(LOG, event("route53:GetChange", "r", 12, { userAgent: agentOf("doctor", "9.9.9") }))).toContain(
    "no reeve 9.9.9",
  );
});

test("a replay of an old command does not make its reads explained anew", () => {
  const replayed: Written = [...LOG, [3000, refusedOf(COMMANDS.scale, ASKED.scale, 1)]];
  const late = event("autoscaling:DescribeAutoScalingGroups", "r", 2999, { userAgent: agentOf(COMMANDS.scale) });
  expect(whyNot(replayed, late)).toContain("not being dealt with");
});

test("an operation of the log that CloudTrail does not have is missing, with its entry", () => {
  const without = TRAIL.filter(({ requestID }) => requestID !== "req-change");
  const { missing, agrees } = compared(LOG, without);
  expect(agrees).toBe(false);
  expect(missing.shown).toEqual([
    {
      entry: 6,
      time: "2025-11-24T09:00:34.000Z",
      command: COMMANDS.dns,
      operation: "route53:ChangeResourceRecordSets",
      resource: `${ZONE}/${NAME}`,
      request: "req-change",
      status: "ok",
    },
  ]);
});

test("an entry that gives a call's request id to another operation, resource or result does not explain it", () => {
  const scaled = (more: Event) => TRAIL.map((one) => (one["requestID"] === "req-scale" ? { ...one, ...more } : one));
  const cases: readonly Event[] = [
    { eventName: "DeleteAutoScalingGroup" },
    { requestParameters: { autoScalingGroupName: "prod-eu-1-vault" } },
    { errorCode: "ValidationError" },
  ];
  for (const one of cases) {
    const { unexplained, missing } = compared(LOG, scaled(one));
    expect([unexplained.count, missing.count, unexplained.shown[0]?.entry]).toEqual([1, 1, 2]);
    expect(unexplained.shown[0]?.why).toContain("entry 2 has its request id");
  }
  const names = (...list: string[]) => ({
    hostedZoneId: `/hostedzone/${ZONE}`,
    changeBatch: { changes: list.map((name) => ({ action: "UPSERT", resourceRecordSet: { name } })) },
  });
  const changed = (parameters: Event) =>
    TRAIL.map((one) => (one["requestID"] === "req-change" ? { ...one, requestParameters: parameters } : one));
  expect(compared(LOG, changed(names(`${NAME}.`, NAME))).agrees).toBe(true);
  expect(compared(LOG, changed(names(NAME, "www.example.com."))).unexplained.count).toBe(1);
});

test("a call that failed is matched like any other, and its error is shown where it is not", () => {
  const denied = outcomeOf(COMMANDS.scale, 1, [
    operation("autoscaling:SetDesiredCapacity", GROUP, "req-scale", "denied"),
  ]);
  const trail = TRAIL.filter(({ requestID }) => requestID !== "req-groups").map((one) =>
    one["requestID"] === "req-scale" ? { ...one, errorCode: "AccessDenied", errorMessage: "is not authorized" } : one,
  );
  expect(compared(logWith(2, denied), trail)).toMatchObject({ agrees: true, explained: { matched: 5 } });
  const probe = event("iam:ListRoles", "req-probe", 50, { errorCode: "AccessDenied", userAgent: "curl/8" });
  expect(compared(LOG, [...TRAIL, probe]).unexplained.shown[0]).toMatchObject({ error: "AccessDenied" });
});

test("an entry that says a change failed, which the cloud carried out, is no match: the answer is shown", () => {
  const failed = outcomeOf(COMMANDS.scale, 1, [
    operation("autoscaling:SetDesiredCapacity", GROUP, "req-scale", "denied"),
    operation("autoscaling:DescribeAutoScalingGroups", GROUP, "req-groups"),
  ]);
  const { answers, missing } = compared(logWith(2, failed), TRAIL);
  expect([answers.count, missing.count]).toEqual([1, 0]);
  expect(answers.shown[0]?.why).toBe("entry 2 says denied, and the cloud did it");
});

test("throttled and expired calls need not be in CloudTrail; a denied one must be", () => {
  const with_ = (status: string) => {
    const first = operation("autoscaling:SetDesiredCapacity", GROUP, "req-tried", status);
    const body = outcomeOf(COMMANDS.scale, 1, [
      first,
      operation("autoscaling:SetDesiredCapacity", GROUP, "req-scale"),
      operation("autoscaling:DescribeAutoScalingGroups", GROUP, "req-groups"),
    ]);
    const { absent, missing } = compared(logWith(2, body), TRAIL);
    return [absent.failed, missing.count];
  };
  expect(with_("throttled")).toEqual([1, 0]);
  expect(with_("credentials-expired")).toEqual([1, 0]);
  expect(with_("denied")).toEqual([0, 1]);
  expect(with_("ok")).toEqual([0, 1]);
});

test("an answer that was lost is found: the call is of the command and the operation that has no request id, once", () => {
  const lost = outcomeOf(
    COMMANDS.scale,
    1,
    [
      operation("autoscaling:SetDesiredCapacity", GROUP, null, "timeout"),
      operation("autoscaling:DescribeAutoScalingGroups", GROUP, "req-groups"),
    ],
    { result: "unknown" },
  );
  const result = compared(logWith(2, lost), TRAIL);
  expect(result).toMatchObject({ agrees: true, explained: { answer: 1, matched: 5 } });
  expect(result.answers.shown[0]).toMatchObject({ request: "req-scale", error: null, entry: 2 });
  expect(result.answers.shown[0]?.why).toContain("lost on the way to entry 2");
  const second = event("autoscaling:SetDesiredCapacity", "req-again", 13, { userAgent: agentOf(COMMANDS.scale) });
  expect(whyNot(logWith(2, lost), second)).toContain("a request id of its own");
  const vault = { autoScalingGroupName: "prod-eu-1-vault", desiredCapacity: 0 };
  const elsewhere = TRAIL.map((one) => (one["requestID"] === "req-scale" ? { ...one, requestParameters: vault } : one));
  expect(compared(logWith(2, lost), elsewhere).unexplained.shown[0]?.why).toContain("another resource");
  const later = TRAIL.map((one) =>
    one["requestID"] === "req-scale" ? { ...one, eventTime: "2025-11-24T09:01:15Z" } : one,
  );
  expect(compared(logWith(2, lost), later).unexplained.shown[0]?.why).toContain("not being carried out at that time");
});

test("the call before a crash is found: the outcome says by what it knows, CloudTrail that the cloud did it, once", () => {
  const recovered = outcomeOf(
    COMMANDS.scale,
    1,
    [operation("autoscaling:DescribeAutoScalingGroups", GROUP, "req-groups")],
    {
      known_by: "state",
    },
  );
  const result = compared(logWith(2, recovered), TRAIL);
  expect(result).toMatchObject({ agrees: true, explained: { answer: 1 } });
  expect(result.answers.shown[0]?.why).toContain("entry 2 is what it found afterwards");
  const second = event("autoscaling:SetDesiredCapacity", "req-again", 13, { userAgent: agentOf(COMMANDS.scale) });
  expect(compared(logWith(2, recovered), [...TRAIL, second]).unexplained.count).toBe(1);
  const open = LOG.filter((_, index) => index !== 2);
  const trail = TRAIL.filter(({ requestID }) => requestID !== "req-groups");
  expect(compared(open, trail).answers.shown[0]?.why).toContain("has no outcome yet");
  const late = event("autoscaling:SetDesiredCapacity", "req-late", 10 + 300 + 61, {
    userAgent: agentOf(COMMANDS.scale),
  });
  const only = trail.filter(({ requestID }) => requestID !== "req-scale");
  expect(compared(open, [...only, late]).unexplained.shown[0]?.why).toContain("not being carried out at that time");
});

/** TRAIL with one call made anew: under a request id that no entry has, and otherwise as said. */
function forged(request: string, more: Event): Event[] {
  return TRAIL.map((one) => {
    if (one["requestID"] !== request) return one;
    const parameters = more["requestParameters"];
    const changed = parameters === null ? null : { ...(one["requestParameters"] as Event), ...(parameters as Event) };
    return { ...one, ...more, requestID: "forged", requestParameters: changed };
  });
}
const CRASHED = {
  scale: logWith(
    2,
    outcomeOf(COMMANDS.scale, 1, [operation("autoscaling:DescribeAutoScalingGroups", GROUP, "req-groups")], {
      known_by: "state",
    }),
  ),
  certificate: logWith(
    4,
    outcomeOf(COMMANDS.certificate, 3, [operation("acm-pca:GetCertificate", AUTHORITY, "req-get")], {
      known_by: "nothing",
      result: "unknown",
    }),
  ),
  dns: logWith(
    6,
    outcomeOf(COMMANDS.dns, 5, [operation("route53:GetChange", `${ZONE}/${NAME}`, "req-insync")], {
      known_by: "state",
    }),
  ),
} as const;
const CHANGES = {
  scale: "req-scale",
  certificate: "req-issue",
  dns: "req-change",
} as const;
const from = seconds(-39) / 1000;
const absolute = (value: number) => ({ value, type: "ABSOLUTE" });
const template = (name: string) => ({ templateArn: `arn:aws:acm-pca:::template/${name}/V1` });
const step = (action: string, more: Event = {}) => ({
  action,
  resourceRecordSet: { name: `${NAME}.`, type: "A", tTL: 60, resourceRecords: [{ value: "10.20.3.4" }], ...more },
});
const batch = (...changes: Event[]) => ({ changeBatch: { changes } });

test("after a crash the change that the intent asked for is the answer, of each action", () => {
  for (const action of ["scale", "certificate", "dns"] as const) {
    const result = compared(CRASHED[action], forged(CHANGES[action], {}));
    expect(result).toMatchObject({ agrees: true, explained: { answer: 1 }, answers: { count: 1, doubtful: 0 } });
  }
  expect(compared(CRASHED.dns, forged("req-change", { requestParameters: batch(step("CREATE")) })).agrees).toBe(true);
});

test.each([
  ["scale", { desiredCapacity: 0 }, "another count"],
  ["certificate", template("SubordinateCACertificate_PathLen3"), "another usages"],
  ["certificate", template("EndEntityClientAuthCertificate"), "another usages"],
  ["certificate", template("EndEntityServerAuthCertificate_CSRPassthrough"), "another usages"],
  ["certificate", { validity: { value: 10, type: "YEARS" } }, "another validity"],
  ["certificate", { validity: absolute(from + 3600) }, "another validity"],
  [
    "certificate",
    { validityNotBefore: absolute(from + 86_400), validity: absolute(from + 90_000) },
    "another validity",
  ],
  ["certificate", { validityNotBefore: undefined, validity: absolute(from + 86_400) }, "another validity"],
  [
    "certificate",
    { csr: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----" },
    "another csr",
  ],
  ["dns", batch(step("DELETE")), "another change"],
  ["dns", batch(step("CREATE"), step("CREATE", { type: "TXT" })), "another change, type"],
  ["dns", batch(step("CREATE", { type: "CNAME" })), "another type"],
  ["dns", batch(step("CREATE", { resourceRecords: [{ value: "203.0.113.9" }] })), "another values"],
  ["dns", batch(step("CREATE", { tTL: 86_400 })), "another ttl"],
  ["dns", batch(step("CREATE", { name: "www.example.com." })), "another resource"],
] as const)("after a crash a change that the intent did not ask for is no answer: %s %j", (action, parameters, why) => {
  const { unexplained, agrees, explained } = compared(
    CRASHED[action],
    forged(CHANGES[action], { requestParameters: parameters }),
  );
  expect([agrees, explained.answer, unexplained.count]).toEqual([false, 0, 1]);
  expect(unexplained.shown[0]?.why).toContain(why);
});

test("an answer from another region, or one that does not show what it changed, is unexplained", () => {
  for (const action of ["scale", "certificate", "dns"] as const) {
    const far = compared(CRASHED[action], forged(CHANGES[action], { awsRegion: "us-west-2" }));
    expect([far.unexplained.count, far.unexplained.shown[0]?.why]).toEqual([1, expect.stringContaining("region")]);
    const hidden = compared(CRASHED[action], forged(CHANGES[action], { requestParameters: null }));
    expect(hidden.unexplained.shown[0]?.why).toContain("does not show what it changed");
  }
  const failed = outcomeOf(COMMANDS.scale, 1, [
    operation("autoscaling:SetDesiredCapacity", GROUP, "req-scale", "denied"),
    operation("autoscaling:DescribeAutoScalingGroups", GROUP, "req-groups"),
  ]);
  const zero = { requestParameters: { autoScalingGroupName: GROUP, desiredCapacity: 0 } };
  const other = TRAIL.map((one) => (one["requestID"] === "req-scale" ? { ...one, ...zero } : one));
  expect(compared(logWith(2, failed), other).unexplained.shown[0]?.why).toContain("another count");
});

test("an answer of which not all could be compared is shown, and the two do not agree", () => {
  const cases = [
    ["scale", { desiredCapacity: undefined }, "count"],
    ["certificate", { csr: undefined }, "csr"],
    ["certificate", { csr: { hb: [45, 45] } }, "csr"],
    ["certificate", { templateArn: undefined }, "usages"],
    ["certificate", { validityNotBefore: undefined }, "validity"],
    ["dns", { changeBatch: undefined }, "records"],
  ] as const;
  for (const [action, parameters, field] of cases) {
    const { agrees, answers, unexplained } = compared(
      CRASHED[action],
      forged(CHANGES[action], { requestParameters: parameters }),
    );
    expect([agrees, answers.count, answers.doubtful, unexplained.count]).toEqual([false, 1, 1, 0]);
    expect(answers.shown[0]?.why).toContain(`not compared: ${field}`);
  }
  const read = (region: string | null, change: string) =>
    cloudtrail({ account: ACCOUNT, name: "reeve" }, region).read(
      Buffer.from(JSON.stringify(TRAIL.find(({ requestID }) => requestID === change))),
    ).call?.place;
  // An authority's ARN says its region, and Route 53 has one: only a group's is the config's to say.
  expect(Object.values(CHANGES).map((change) => read(null, change))).toEqual(["unsaid", "ours", "ours"]);
  expect(read("us-east-1", "req-scale")).toBe("other");
});

test("a call that surely never reached the cloud leaves no place for a change", () => {
  const with_ = (status: string) => {
    const tried = operation("autoscaling:SetDesiredCapacity", GROUP, null, status);
    const read = operation("autoscaling:DescribeAutoScalingGroups", GROUP, "req-groups");
    const { explained, unexplained } = compared(
      logWith(2, outcomeOf(COMMANDS.scale, 1, [tried, read])),
      forged("req-scale", {}),
    );
    return [explained.answer, unexplained.count];
  };
  for (const status of ["connection-refused", "dns", "no-route", "tls", "suspended", "stopped", "deadline", "denied"])
    expect([status, ...with_(status)]).toEqual([status, 0, 1]);
  expect(with_("throttled")).toEqual([0, 1]);
  for (const status of ["timeout", "reset", "unavailable", "redirected", "malformed", "answer-too-long", "error"])
    expect([status, ...with_(status)]).toEqual([status, 1, 0]);
});

test("a second event with a request id that an entry has is unexplained: one operation is one call", () => {
  const again = event("autoscaling:SetDesiredCapacity", "req-scale", 12, { userAgent: agentOf(COMMANDS.scale) });
  expect(whyNot(LOG, again)).toContain("which another event is");
  expect(compared(LOG, [...TRAIL, again])).toMatchObject({ agrees: false, explained: { matched: 6 } });
  const read = event("autoscaling:DescribeAutoScalingGroups", "req-groups", 12, { userAgent: "aws-cli/2" });
  expect(whyNot(LOG, read)).toContain("which another event is");
});

test("an event in two files is one call", () => {
  const twice = TRAIL.flatMap((one) => [one, one]);
  expect(compared(LOG, twice)).toMatchObject({ agrees: true, calls: 10, trail: { events: 20, duplicates: 10 } });
  const [first] = TRAIL;
  const anew = {
    ...first,
    eventID: crypto.randomUUID(),
    addendum: { reason: "UPDATED_DATA", originalEventID: first?.["eventID"] },
  };
  expect(compared(LOG, [...TRAIL, anew])).toMatchObject({ calls: 10, trail: { duplicates: 1 } });
});

test("calls of other roles, accounts and services are others'; the role's own in another region are not", () => {
  const root = { type: "Root", principalId: ACCOUNT, arn: `arn:aws:iam::${ACCOUNT}:root`, accountId: ACCOUNT };
  const service = { type: "AWSService", invokedBy: "ec2.amazonaws.com" };
  const elsewhere = JSON.parse(JSON.stringify(TRAIL[1]?.["userIdentity"]).replaceAll(ACCOUNT, "999988887777"));
  const others = [SOMEBODY, root, service, elsewhere, undefined].map((userIdentity) =>
    event("autoscaling:SetDesiredCapacity", "req-other", 12, { userIdentity }),
  );
  expect(compared(LOG, [...TRAIL, ...others])).toMatchObject({ agrees: true, calls: 10 });
  const far = event("ec2:RunInstances", "req-far", 12, { awsRegion: "ap-southeast-2" });
  expect(compared(LOG, [...TRAIL, far]).unexplained.shown[0]).toMatchObject({ region: "ap-southeast-2" });
  const onlyIssuer = event("ec2:RunInstances", "req-far", 12, {
    userIdentity: { type: "AssumedRole", sessionContext: { sessionIssuer: { arn: ROLE_ARN } } },
  });
  expect(compared(LOG, [...TRAIL, onlyIssuer]).unexplained.count).toBe(1);
  const onlyName = event("ec2:RunInstances", "req-far", 12, {
    userIdentity: { type: "AssumedRole", arn: `arn:aws:sts::${ACCOUNT}:assumed-role/reeve/i-1` },
  });
  expect(compared(LOG, [...TRAIL, onlyName]).unexplained.count).toBe(1);
});

test("insights are passed by and counted, whomever they are about", () => {
  const insight = {
    eventVersion: "1.08",
    eventTime: "2025-11-24T09:00:00Z",
    eventCategory: "Insight",
    insightDetails: { arn: ROLE_ARN },
  };
  expect(compared(LOG, [...TRAIL, insight])).toMatchObject({ agrees: true, calls: 10, trail: { summaries: 1 } });
});

test("a trail that records changes only: reads are not looked for, and that is said", () => {
  const changes = TRAIL.filter(({ readOnly }) => readOnly === false);
  expect(compared(LOG, changes)).toMatchObject({
    agrees: true,
    explained: { matched: 3 },
    absent: { reads: 3 },
    trail: { reads: false },
  });
  const stranger = event("s3:ListBuckets", "r", 1, { userIdentity: SOMEBODY });
  expect(compared(LOG, [...changes, stranger])).toMatchObject({
    agrees: false,
    missing: { count: 3 },
    trail: { reads: true },
  });
});

test("at the edges: what CloudTrail may still deliver is not missing, what is found beyond an edge is found", () => {
  const none = compared(LOG, [event("s3:ListBuckets", "r", 1, { userIdentity: SOMEBODY })], undefined, seconds(60));
  expect(none).toMatchObject({ agrees: true, operations: 6, absent: { edge: 6 } });
  const period = { from: seconds(-7200), to: seconds(32) };
  const edge = compared(LOG, TRAIL, period);
  // The change at 31 lies in it, what followed at 33 does not; both are of one outcome, which has all its calls.
  expect(edge).toMatchObject({ agrees: true, trail: { outside: 2 }, absent: { edge: 0 } });
  const wide = { from: seconds(-7200), to: seconds(7200) };
  expect(compared(LOG, TRAIL.slice(0, 6), wide)).toMatchObject({ agrees: false, missing: { count: 2 } });
  const narrow = { from: seconds(-60), to: seconds(7200) };
  expect(compared(LOG, TRAIL.slice(0, 6), narrow)).toMatchObject({ agrees: true, absent: { edge: 2 } });
  const before = { from: seconds(-7200), to: seconds(5) };
  expect(compared(LOG, TRAIL, before)).toMatchObject({ agrees: true, operations: 0, calls: 0 });
});

test("a call in the period whose command ended long before it is unexplained, and one whose entries lie outside is not", () => {
  const period = { from: seconds(12), to: seconds(7200) };
  expect(compared(LOG, TRAIL, period)).toMatchObject({ agrees: true, trail: { outside: 3 } });
  const days = 86_400 * 3;
  const later = { from: seconds(days), to: seconds(days + 60) };
  const reused = event("autoscaling:SetDesiredCapacity", "req-scale", days + 1, { userAgent: agentOf(COMMANDS.scale) });
  expect(compared(LOG, [reused], later, seconds(days * 2)).unexplained.shown[0]?.why).toContain("knows nothing");
});

test("calls that only their user agent explains are shown where they come from, when no other call came from there", () => {
  const away = event("autoscaling:DescribeAutoScalingGroups", "r", 12, {
    userAgent: agentOf(COMMANDS.scale),
    sourceIPAddress: "203.0.113.9",
  });
  expect(compared(LOG, [...TRAIL, away])).toMatchObject({ agrees: true, addresses: ["203.0.113.9"] });
});

test("a user agent names one version and one command, or none", () => {
  const id = COMMANDS.scale;
  expect(namedBy(`[reeve/0.1.0 cmd/${id}]`)).toEqual({ version: "0.1.0", command: id });
  expect(namedBy(`aws-sdk-js/3.1 reeve/1.2.0-rc.1 cmd/${id} m/E`)).toEqual({ version: "1.2.0-rc.1", command: id });
  expect(namedBy(`reeve/0.1.0 cmd/${id} cmd/${COMMANDS.dns}`).command).toBeNull();
  expect(namedBy(`xreeve/0.1.0 xcmd/${id}`)).toEqual({ version: null, command: null });
  expect(namedBy(`reeve/0.1.0 cmd/${id}f`).command).toBeNull();
});

test("a role is named by its ARN in every partition, with or without a path", () => {
  expect(roleOfArn(ROLE_ARN)).toEqual({ account: ACCOUNT, name: "reeve" });
  expect(roleOfArn(`arn:aws-us-gov:iam::${ACCOUNT}:role/a/b/reeve`)).toEqual({ account: ACCOUNT, name: "reeve" });
  for (const other of [
    `arn:aws:iam::${ACCOUNT}:user/reeve`,
    `arn:aws:sts::${ACCOUNT}:assumed-role/reeve/i-1`,
    "reeve",
    `${ROLE_ARN}/`,
  ])
    expect(roleOfArn(other)).toBeNull();
});

test("a file is cut into its events the same, in whatever pieces it comes and however it is spaced", () => {
  const odd = [
    { ...TRAIL[0], userAgent: 'a "quoted" \\" brace } ] { [ ünï \u2028' },
    ...TRAIL.slice(1),
    { userIdentity: null, a: [[], {}] },
  ];
  for (const text of [fileOf(...odd), `\r\n${JSON.stringify({ Records: odd }, null, 2)}\n`]) {
    for (const length of [1, 2, 3, 7, 64, 1000, text.length + 100]) {
      const events: unknown[] = [];
      expect(readFile(Buffer.from(text), (one) => events.push(JSON.parse(Buffer.from(one).toString())), length)).toBe(
        "events",
      );
      expect(events).toEqual(JSON.parse(JSON.stringify(odd)));
    }
  }
  expect(readFile(Buffer.from('{ "Records" : [ ] }'))).toBe("events");
});

test("a digest file is known by what it holds", () => {
  const digest = {
    awsAccountId: ACCOUNT,
    digestStartTime: "2025-11-24T08:00:00Z",
    digestEndTime: "2025-11-24T09:00:00Z",
    digestS3Bucket: "trail",
    previousDigestSignature: null,
    logFiles: [{ s3Object: "AWSLogs/x", hashAlgorithm: "SHA-256" }],
  };
  expect(readFile(Buffer.from(JSON.stringify(digest)), undefined, 10)).toBe("digest");
  expect(readFile(Buffer.from(JSON.stringify({ ...digest, logFiles: 1 })))).toEqual({
    fault: "it holds no list of events",
  });
});

test.each([
  ["", "it is no JSON"],
  ["not json", "it is no JSON object"],
  ["[]", "it is no JSON object"],
  ["{}", "it holds no list of events"],
  ['{"Events":[]}', "it holds no list of events"],
  ['{"Records":[', "it ends in the middle"],
  ['{"Records":[{}', "it ends in the middle"],
  ['{"Records":[{"a":"', "it ends in the middle"],
  ['{"Records":[{}]', "it ends in the middle"],
  ['{"Records":[{}]}{', "it is no list of events in JSON"],
  ['{"Records":[{},]}', "it is no list of events in JSON"],
  ['{"Records":[{}{}]}', "it is no list of events in JSON"],
  ['{"Records":[,{}]}', "it is no list of events in JSON"],
  ['{"Records":[1]}', "it is no list of events in JSON"],
  ['{"Records":[],"more":1}', "it is no list of events in JSON"],
  [`{"Records":[{"a":${"[".repeat(70)}`, "an event nested over 64 deep"],
])("what is not CloudTrail's is refused: %s", (text, fault) => {
  expect(readFile(Buffer.from(text))).toEqual({ fault });
});

test("an event without an end is refused before it is held in memory", () => {
  const piece = Buffer.alloc(1024 * 1024, "x");
  const text = Buffer.concat([Buffer.from('{"Records":[{"a":"'), ...Array.from({ length: 4 }, () => piece)]);
  expect(readFile(text, undefined, 65_536)).toEqual({ fault: `an event of more than ${MAX_TRAIL_EVENT_BYTES} bytes` });
  const other = Buffer.concat([Buffer.from('{"a":"'), ...Array.from({ length: 20 }, () => piece)]);
  expect(readFile(other, undefined, 65_536)).toMatchObject({
    fault: expect.stringContaining("a document of more than"),
  });
});

test("an event by the role must have the fields that are used, in their form; others' and what AWS adds are left alone", () => {
  const { read } = cloudtrail({ account: ACCOUNT, name: "reeve" }, "eu-west-1");
  const of = (more: Event) => () => read(Buffer.from(JSON.stringify({ ...TRAIL[1], ...more })));
  expect(of({ tomorrow: { field: [1] } })().call).not.toBeNull();
  expect(of({ requestID: null, userAgent: null, sourceIPAddress: null })().call).toMatchObject({
    requestId: null,
    userAgent: "",
  });
  expect(of({ requestParameters: { autoScalingGroupName: 7 } })().call?.subjects).toEqual([]);
  for (const [field, value] of [
    ["eventID", undefined],
    ["eventID", 7],
    ["eventTime", "yesterday"],
    ["eventTime", undefined],
    ["eventName", ""],
    ["eventSource", null],
    ["requestID", ["a"]],
    ["readOnly", "true"],
    ["errorCode", {}],
  ] as const)
    expect(of({ [field]: value })).toThrow(`an event's ${field} is not as CloudTrail writes it`);
  expect(of({ userIdentity: "reeve" })).toThrow("not as CloudTrail writes it");
  expect(of({ userIdentity: SOMEBODY, eventID: 7 })().is).toBe("others");
  expect(() => read(Buffer.from('{"a":'))).toThrow("no JSON");
  expect(() => read(Buffer.from([0x7b, 0xff, 0x7d]))).toThrow("not UTF-8");
});

test("a log or a trail that holds more in a period than may be held in memory is refused; a shorter period leaves the rest out", () => {
  const fill = (most: number, period = ALWAYS): boolean[] => {
    const ledger = emptyLedger(most);
    return entriesOf(LOG).map((entry) => addEntry(ledger, entry, period));
  };
  expect(fill(10)).toEqual(LOG.map(() => true));
  expect(fill(9).indexOf(false)).toBe(7);
  const far = { from: seconds(86_400 * 30), to: seconds(86_400 * 31) };
  expect(fill(1, far)).toEqual(LOG.map(() => true));
  const { read } = cloudtrail({ account: ACCOUNT, name: "reeve" }, "eu-west-1");
  const add = (most: number, period = ALWAYS): boolean[] => {
    const progress = beginComparison(emptyLedger(), TABLES, period, most);
    return [...TRAIL, ...TRAIL].map((one) => addEvent(progress, read(Buffer.from(JSON.stringify(one)))));
  };
  expect(add(10)).not.toContain(false);
  expect(add(9).indexOf(false)).toBe(9);
  expect(add(0, far)).not.toContain(false);
});

test("calls of a deploy that was gone on with after a restart are answers that the log does not have, shown for a person to look at", () => {
  const id = "01932a2f-1111-7000-8000-000000000005";
  const ask = {
    action: "deploy" as const,
    asked: { group: GROUP, manifest: `sha256:${"a".repeat(64)}` },
    resource: `group:${GROUP}`,
  };
  const refresh = "autoscaling:StartInstanceRefresh";
  const by = { userAgent: agentOf(id), requestParameters: { autoScalingGroupName: GROUP } };
  const calls = [
    event(refresh, "req-first", 55, by),
    event(refresh, "req-second", 4000, by),
    event(refresh, "req-last", 8000, by),
  ];
  const written = (known_by: "answer" | "state"): Written => [
    ...LOG,
    [50, intentOf(id, ask)],
    [9000, outcomeOf(id, LOG.length, [operation(refresh, GROUP, "req-last")], { known_by })],
  ];
  const gone = compared(written("state"), [...TRAIL, ...calls]);
  expect(gone.unexplained.count).toBe(0);
  expect(gone.missing.count).toBe(0);
  expect(gone.answers).toMatchObject({ count: 2, doubtful: 2 });
  expect(gone.answers.shown.map(({ request }) => request)).toEqual(["req-first", "req-second"]);
  expect(gone.answers.shown[0]?.why).toContain("not compared: manifest");
  // Never more than that: no person is spared, nothing after its outcome, and nothing where the log has every answer.
  expect(gone.agrees).toBe(false);
  const late = event(refresh, "req-late", 9061, by);
  expect(compared(written("state"), [...TRAIL, ...calls, late]).unexplained).toMatchObject({ count: 1 });
  expect(compared(written("answer"), [...TRAIL, ...calls]).unexplained).toMatchObject({ count: 2 });
  const open = compared(written("state").slice(0, -1), [...TRAIL, ...calls]);
  expect([open.unexplained.count, open.answers.count]).toEqual([0, 3]);
});
