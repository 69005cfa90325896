import { expect, test } from "bun:test";
import { loadPolicy } from "../../policy/parse.ts";
import type { Policy } from "../../policy/policy.ts";
import type { Difference } from "../../policy/review/difference.ts";
import { shownExample } from "../../policy/review/example.ts";
import { ask, isMore, ownAt } from "../../policy/review/point.ts";
import { reviewJson, reviewLines } from "../../policy/review/report.ts";
import { asksForMore, REVIEW_LIMITS, review } from "../../policy/review/review.ts";
import { fuzz } from "./review-property.ts";
import { KEYS } from "./review-world.ts";

/** JSON is YAML, so a file's text is its JSON. */
type Fields = { readonly [field: string]: unknown };
const SCALE: Fields = {
  why: "x",
  allow: "scale",
  group: "g",
  count: { min: 3, max: 9 },
  change: { up: 2, down: 0 },
  rate: "4 per hour",
  when: "always",
  approval: "none",
};
const DNS: Fields = {
  why: "x",
  allow: "update-dns",
  zone: "z",
  changes: ["create"],
  names: { below: "a.example" },
  types: ["A"],
  values: { within: ["10.20.0.0/16"] },
  ttl: { min: "30s", max: "1h" },
  rate: "4 per hour",
  when: "always",
  approval: "none",
};
const CERTIFICATE: Fields = {
  why: "x",
  allow: "issue-certificate",
  authority: "ca",
  names: { below: "a.example" },
  key: { made: "in-cluster", type: ["P-256"] },
  usages: ["server"],
  validity: { min: "1h", max: "30d" },
  rate: "4 per hour",
  when: "always",
  approval: "none",
};
const PEOPLE = { alice: KEYS[0], bob: KEYS[1], carol: KEYS[2] };

function policy(rules: readonly Fields[], head: Fields = {}): Policy {
  const file = {
    version: 1,
    revision: 1,
    cluster: "c",
    vendor: "vendor.example",
    place: { cloud: "local" },
    people: PEOPLE,
    signers: {},
    share: [],
    dry_run: "refused",
    rules: rules.map((rule, at) => ({ id: `r${at}`, ...rule })),
    tests: [],
    ...head,
  };
  const loaded = loadPolicy(new TextEncoder().encode(JSON.stringify(file)));
  if ("errors" in loaded) throw new Error(JSON.stringify(loaded.errors));
  return loaded.policy;
}

function more(theirs: readonly Fields[], mine: readonly Fields[]): readonly Difference[] {
  return review(policy(theirs), policy(mine)).more;
}

/** Kind, sentence and how the other's PDP refused, of each. */
function told(differences: readonly Difference[], other: Policy): readonly string[] {
  return differences.map(({ kind, what, example }) => {
    if (example === null) return `${kind}? ${what[0]}`;
    const again = ask(other, { ...example.point, at: ownAt(other) }, example.pasts.b);
    return `${kind}: ${what.join(" | ")} [${again.refusal?.field ?? again.level}]`;
  });
}
function toldOf(theirs: readonly Fields[], mine: readonly Fields[]): readonly string[] {
  const other = policy(mine);
  return told(review(policy(theirs), other).more, other);
}

test("a policy asks for no more than itself, in whatever order its rules stand", () => {
  const rules = [
    { ...SCALE, id: "grow" },
    {
      ...SCALE,
      id: "shrink",
      change: { up: 0, down: 1 },
      rate: "1 per day",
      approval: { by: ["alice"], need: 1, within: "2h" },
    },
    { ...CERTIFICATE, id: "certificates" },
    { ...DNS, id: "names", when: "Mon-Fri 08:00-17:00 Europe/Berlin" },
  ];
  const [one, other] = [policy(rules), policy(rules.toReversed())];
  expect(review(one, one)).toEqual({ more: [], less: [], notes: [] });
  expect(review(one, other)).toEqual({ more: [], less: [], notes: [] });
});

test("a count, a change and both: what is beyond is told exactly, and mine's narrower field", () => {
  expect(toldOf([{ ...SCALE, count: { min: 3, max: 12 } }], [SCALE])).toEqual([
    "command: set the group g to 10 to 12 machines, adding at most 2 [count]",
  ]);
  expect(toldOf([{ ...SCALE, change: { up: 5, down: 1 } }], [SCALE])).toEqual([
    "command: set the group g to 3 to 9 machines, removing 1 [change]",
    "command: set the group g to 3 to 9 machines, adding 3 to 5 [change]",
  ]);
  // A state below zero is none: nothing is beyond.
  expect(
    toldOf(
      [{ ...SCALE, count: { min: 0, max: 2 }, change: { up: 9, down: 0 } }],
      [{ ...SCALE, count: { min: 0, max: 2 }, change: { up: 2, down: 0 } }],
    ),
  ).toEqual([]);
});

test("two rules of mine cover one of theirs together: counts, and windows", () => {
  const halves = [
    { ...SCALE, count: { min: 3, max: 6 } },
    { ...SCALE, count: { min: 7, max: 9 } },
  ];
  expect(toldOf([SCALE], halves)).toEqual([]);
  expect(toldOf([SCALE], [halves[0] ?? {}, { ...SCALE, count: { min: 8, max: 9 } }])).toEqual([
    "command: set the group g to 7 machines, adding at most 2 [count]",
  ]);
  const days = [
    "Mon-Wed 08:00-17:00 Europe/Berlin",
    "Thu-Fri 08:00-12:00 Europe/Berlin",
    "Thu-Fri 12:00-17:00 Europe/Berlin",
  ];
  const week = { ...SCALE, when: "Mon-Fri 08:00-17:00 Europe/Berlin" };
  expect(
    toldOf(
      [week],
      days.map((when) => ({ ...SCALE, when })),
    ),
  ).toEqual([]);
  expect(
    toldOf(
      [week],
      days.slice(0, 2).map((when) => ({ ...SCALE, when })),
    ),
  ).toEqual([
    `command: set the group g to 3 to 9 machines, adding at most 2, inside Mon-Fri 08:00-17:00 Europe/Berlin, outside ${days[0]}, outside ${days[1]} [when]`,
  ]);
});

test("a rule cut in two with the rate of the whole each asks for twice as much", () => {
  const halves = [
    { ...SCALE, count: { min: 3, max: 6 } },
    { ...SCALE, count: { min: 7, max: 9 } },
  ];
  const differences = more(halves, [SCALE]);
  expect(differences.length).toBeGreaterThan(0);
  for (const { kind, example } of differences) {
    expect([kind, example?.b.refusal?.code]).toEqual(["rate", "policy.rate"]);
    // Mine has used up its four, theirs not.
    expect(example?.pasts.b.intents.get("r0")?.length).toBe(4);
  }
  // With half the rate each it does not.
  expect(
    more(
      halves.map((half) => ({ ...half, rate: "2 per hour" })),
      [SCALE],
    ),
  ).toEqual([]);
});

test("two CIDR halves in one rule cover the whole; in two rules a command with a value in each is beyond them", () => {
  const halves = ["10.20.0.0/17", "10.20.128.0/17"];
  expect(toldOf([DNS], [{ ...DNS, values: { within: halves } }])).toEqual([]);
  const apart = halves.map((half) => ({ ...DNS, values: { within: [half] } }));
  expect(toldOf([DNS], apart)).toEqual([
    "command: create A records in the zone z for any name below a.example, to 10.20.0.0/16, at least one of them 10.20.128.0/17, at least one of them 10.20.0.0/17, with a time to live of 30s to 1h [values]",
  ]);
  const [difference] = more([DNS], apart);
  const asked = difference?.example?.point.situation.asked;
  expect(asked?.action === "update-dns" ? asked.args.values : []).toEqual(["10.20.0.1", "10.20.128.1"]);
});

test("names are compared by labels: below, exactly, below without a deeper one", () => {
  expect(toldOf([CERTIFICATE], [{ ...CERTIFICATE, names: { below: "b.a.example" } }])[0]).toStartWith(
    "command: issue a certificate from ca for any name below a.example, at least one of them any name below a.example other than below b.a.example,",
  );
  expect(toldOf([{ ...DNS, names: { exactly: ["x.a.example", "a.example"] } }], [DNS])[0]).toStartWith(
    "command: create A records in the zone z for a.example,",
  );
  expect(toldOf([{ ...DNS, names: { below: "ba.example" } }], [DNS])).toHaveLength(1);
  expect(toldOf([{ ...DNS, names: { below: "x.a.example" } }], [DNS])).toEqual([]);
  // Below a name of 252 bytes there is none, so that nothing is beyond.
  const long = `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(60)}.example1`;
  expect(long.length).toBe(252);
  expect(toldOf([{ ...DNS, names: { below: long } }], [])).toEqual([]);
});

test("what a key, its maker, usages and validity are beyond is told field by field", () => {
  const theirs = {
    ...CERTIFICATE,
    key: { made: "in-cluster", type: ["P-256", "Ed25519"] },
    usages: ["server", "client"],
    validity: { min: "1m", max: "30d" },
  };
  const fields = toldOf([theirs], [CERTIFICATE]).map((text) => text.slice(text.lastIndexOf("[")));
  expect(fields).toEqual(["[key]", "[usages]", "[validity]"]);
  expect(toldOf([{ ...CERTIFICATE, key: { made: "by-vendor", type: ["P-256"] } }], [CERTIFICATE])[0]).toEndWith(
    "[key]",
  );
});

test("changes and types of DNS that are beyond for the same reason are one sentence", () => {
  expect(toldOf([{ ...DNS, changes: ["create", "replace", "delete"] }], [DNS])).toEqual([
    "command: replace A records in the zone z for any name below a.example, to 10.20.0.0/16, with a time to live of 30s to 1h [changes]",
    "command: delete A records in the zone z for any name below a.example [changes]",
  ]);
  const text = { ...DNS, types: ["CNAME", "TXT"], values: { exactly: ["a.example"] }, changes: ["create", "replace"] };
  expect(toldOf([text], [])).toEqual([
    'command: create or replace CNAME or TXT records in the zone z for any name below a.example, to "a.example", with a time to live of 30s to 1h [refused]',
  ]);
  // What is deleted has no time to live: a longer one is beyond for the others only.
  const longer = toldOf(
    [{ ...DNS, changes: ["create", "delete"], ttl: { min: "30s", max: "2h" } }],
    [{ ...DNS, changes: ["create", "delete"] }],
  );
  expect(longer).toEqual([
    "command: create A records in the zone z for any name below a.example, to 10.20.0.0/16, with a time to live of 3601s to 2h [ttl]",
  ]);
});

test("windows of different zones are compared at the same instants, in the weeks when only one of them has changed its clocks too", () => {
  // 03:00 in New York is 08:00 in Berlin, but for the weeks between their changes, when it is 07:00.
  const [berlin, newYork] = [
    { ...SCALE, when: "Mon-Fri 08:00-17:00 Europe/Berlin" },
    { ...SCALE, when: "Mon-Fri 02:00-11:00 America/New_York" },
  ];
  expect(toldOf([newYork], [berlin])).toHaveLength(1);
  expect(toldOf([newYork], [{ ...SCALE, when: "Mon-Fri 07:00-17:00 Europe/Berlin" }])).toEqual([]);
  const [difference] = more([newYork], [berlin]);
  const at = new Date(difference?.example?.point.now ?? 0).toISOString();
  // 02:00 in New York, and 07:00 in Berlin.
  expect(at).toBe("2026-03-09T06:00:00.000Z");
  // The hour that the clocks repeat in autumn.
  const night = { ...SCALE, when: "Sun 02:00-03:00 Europe/Berlin" };
  const utc = ["Sun 01:00-02:00 UTC", "Sun 00:00-01:00 UTC"].map((when) => ({ ...SCALE, when }));
  expect(toldOf([night], utc)).toEqual([]);
  expect(toldOf([night], utc.slice(0, 1))).toHaveLength(1);
});

test("dated windows are compared to the second, and ahead of every calendar", () => {
  const dated = (when: string): Fields => ({ ...SCALE, when });
  const whole = dated("2026-12-01T00:00Z to 2026-12-31T00:00Z");
  expect(
    toldOf([whole], ["2026-12-01T00:00Z to 2026-12-15T00:00Z", "2026-12-15T00:00Z to 2026-12-31T00:00Z"].map(dated)),
  ).toEqual([]);
  const [gap] = more(
    [whole],
    ["2026-12-01T00:00Z to 2026-12-15T00:00Z", "2026-12-15T00:00:01Z to 2026-12-31T00:00Z"].map(dated),
  );
  expect(gap?.example?.point.now).toBe(Date.parse("2026-12-15T00:00:00Z"));
  // A dated window far ahead, against one by the week.
  const week = dated("Mon-Sun 00:00-24:00 UTC");
  expect(toldOf([dated("2300-01-01T00:00Z to 2300-02-01T00:00Z")], [week])).toEqual([]);
  expect(toldOf([dated("2300-01-01T00:00Z to 2300-02-01T00:00Z")], [dated("Mon-Sat 00:00-24:00 UTC")])).toHaveLength(1);
  // A window that was over before anything is compared permits nothing.
  expect(toldOf([dated("2001-01-01T00:00Z to 2002-01-01T00:00Z")], [])).toEqual([]);
});

test("no approval is more than one, fewer or other people are more than these, and a longer wait is more", () => {
  const approval = (by: readonly string[], need: number, within = "2h"): Fields => ({
    ...SCALE,
    approval: { by, need, within },
  });
  expect(toldOf([SCALE], [approval(["alice"], 1)])).toEqual([
    "consent: set the group g to 3 to 9 machines, adding at most 2 [waits]",
  ]);
  expect(toldOf([approval(["alice"], 1)], [SCALE])).toEqual([]);
  const kinds = (theirs: Fields, ...mine: readonly Fields[]): readonly string[] =>
    more([theirs], mine).map(({ kind }) => kind);
  expect(kinds(approval(["alice", "bob"], 1), approval(["alice", "bob"], 2))).toEqual(["consent"]);
  expect(kinds(approval(["alice", "bob"], 2), approval(["alice", "bob"], 1))).toEqual([]);
  expect(kinds(approval(["alice", "carol"], 1), approval(["alice", "bob"], 1))).toEqual(["consent"]);
  expect(kinds(approval(["alice"], 1), approval(["alice", "bob"], 1))).toEqual([]);
  // Two of three can be these two or others: covered by rules of mine for each two.
  expect(
    kinds(approval(["alice", "bob", "carol"], 2), approval(["alice", "bob"], 2), approval(["bob", "carol"], 2)),
  ).toEqual(["consent"]);
  expect(
    kinds(
      approval(["alice", "bob", "carol"], 2),
      approval(["alice", "bob"], 2),
      approval(["bob", "carol"], 2),
      approval(["alice", "carol"], 2),
    ),
  ).toEqual([]);
  // After the first hour mine takes bob only.
  expect(kinds(approval(["alice"], 1), approval(["alice"], 1, "1h"), approval(["bob"], 1))).toEqual(["consent"]);
  expect(kinds(approval(["alice"], 1, "3h"), approval(["alice"], 1))).toEqual(["longer"]);
  expect(kinds(approval(["alice"], 1, "1h"), approval(["alice"], 1))).toEqual([]);
});

test("a person is a key: the same name with another key is another person", () => {
  const rules = [{ ...SCALE, approval: { by: ["alice"], need: 1, within: "2h" } }];
  const theirs = policy(rules, { people: { ...PEOPLE, alice: KEYS[3] } });
  const reviewed = review(theirs, policy(rules));
  expect(reviewed.more.map(({ kind }) => kind)).toEqual(["consent"]);
  const [example] = reviewed.more.map((difference) => difference.example);
  if (example === null || example === undefined) throw new Error("no example");
  expect(shownExample(example, theirs, policy(rules)).approved).toEqual({
    permits: ["alice"],
    other: [],
    waited: "0s",
  });
  // The same key by another name is nobody else.
  const renamed = policy([{ ...SCALE, approval: { by: ["ann"], need: 1, within: "2h" } }], {
    people: { ann: KEYS[0] },
  });
  expect(review(renamed, policy(rules)).more).toEqual([]);
});

test("a rate is more when some sequence of commands shows it: more at once, more in a day, or sooner on a new machine", () => {
  const kinds = (theirs: string, mine: string): readonly string[] =>
    more([{ ...SCALE, rate: theirs }], [{ ...SCALE, rate: mine }]).map(
      ({ kind, example }) => `${kind}${example === null ? "?" : ""}`,
    );
  expect(kinds("5 per hour", "4 per hour")).toEqual(["rate"]);
  expect(kinds("4 per hour", "5 per hour")).toEqual([]);
  expect(kinds("4 per day", "4 per hour")).toEqual([]);
  // At once more.
  expect(kinds("24 per day", "1 per hour")).toEqual(["rate"]);
  // 24 of them fit into a day, and no more: but when nothing is remembered it may go on after an hour.
  expect(kinds("1 per hour", "24 per day")).toEqual(["memory"]);
  // 24 windows of an hour fit into a day, so that 23 a day are fewer.
  expect(kinds("1 per hour", "23 per day")).toEqual(["rate"]);
  expect(kinds("1000 per week", "999 per week")).toEqual(["rate"]);
});

test("the example of a rate tells what was used up of it on both sides", () => {
  const [theirs, mine] = [policy([{ ...SCALE, rate: "1 per hour" }]), policy([{ ...SCALE, rate: "3 per day" }])];
  const [difference] = review(theirs, mine).more;
  if (difference?.example === null || difference?.example === undefined) throw new Error("no example");
  const { used } = shownExample(difference.example, theirs, mine);
  expect(used).toEqual({ permits: {}, other: { r0: 3 } });
});

test("raising one rule's rate is told once, though a command that changes nothing counts for two rules", () => {
  const [grow, shrink] = [
    { ...SCALE, id: "grow" },
    {
      ...SCALE,
      id: "shrink",
      change: { up: 0, down: 1 },
      rate: "1 per day",
      approval: { by: ["alice"], need: 1, within: "2h" },
    },
  ];
  const [theirs, mine] = [policy([{ ...grow, rate: "6 per hour" }, shrink]), policy([grow, shrink])];
  const lines = reviewLines(
    review(theirs, mine),
    { policy: theirs, name: "vendor.yaml" },
    { policy: mine, name: "mine.yaml" },
  );
  expect(lines.filter((line) => line.startsWith("  - vendor.yaml would let"))).toEqual([
    expect.stringMatching(
      /more often set the group g to 3 to 9 machines, adding 1 to 2; .*: 6 per hour \(rule grow\); mine\.yaml 4 per hour \(rule grow\)\.$/,
    ),
  ]);
  expect(lines).toContain("mine.yaml permits nothing beyond vendor.yaml.");
  expect(lines.at(-1)).toBe("vendor.yaml asks for more than mine.yaml.");
});

test("narrowing whatever one likes asks for no more: counts, names, people, windows that stand alone, rates", () => {
  const wide = [SCALE, { ...DNS, approval: { by: ["alice", "bob"], need: 1, within: "2h" } }, CERTIFICATE];
  const narrow = [
    {
      ...SCALE,
      count: { min: 4, max: 8 },
      change: { up: 1, down: 0 },
      rate: "3 per hour",
      when: "Mon-Fri 08:00-17:00 Europe/Berlin",
    },
    {
      ...DNS,
      names: { exactly: ["x.a.example"] },
      values: { within: ["10.20.4.0/24"] },
      approval: { by: ["alice", "bob"], need: 2, within: "1h" },
    },
    { ...CERTIFICATE, validity: { min: "2h", max: "1d" } },
  ];
  const { more: beyond, less } = review(policy(narrow), policy(wide));
  expect(beyond).toEqual([]);
  expect(new Set(less.map(({ about }) => about?.action))).toEqual(
    new Set(["scale", "update-dns", "issue-certificate"]),
  );
});

test("another vendor, cluster or cloud and dry runs are told, each with a command that only the one permits", () => {
  const mine = policy([SCALE]);
  for (const [head, kind] of [
    [{ vendor: "other.example" }, "context"],
    [{ cluster: "d" }, "context"],
    [{ place: { cloud: "aws", account: "111122223333", region: "eu-west-1" } }, "context"],
    [{ dry_run: "allowed" }, "dry-run"],
  ] as const) {
    const theirs = policy([SCALE], head);
    const [difference, ...others] = review(theirs, mine).more;
    expect([difference?.kind, others]).toEqual([kind, []]);
    if (difference?.example === null || difference?.example === undefined) throw new Error("no example");
    const { point, pasts } = difference.example;
    expect(isMore(ask(theirs, point, pasts.a).level, ask(mine, point, pasts.b).level)).toBe(true);
  }
  // Where nothing is permitted, nothing more is.
  expect(review(policy([], { vendor: "other.example", dry_run: "allowed" }), mine).more).toEqual([]);
  expect(
    review(
      policy(
        [
          {
            ...SCALE,
            count: { min: 0, max: 0 },
            change: { up: 0, down: 0 },
            when: "2001-01-01T00:00Z to 2001-01-02T00:00Z",
          },
        ],
        { vendor: "other.example" },
      ),
      mine,
    ).more,
  ).toEqual([]);
});

test("what permits nothing by itself is told too, and what is shown to or signed by more people counts as asking for more", () => {
  const SIGNER = "vendor.example/release-2026+8ee44586+Aah2BZCdstZQNcV8SZIZSm1UU/ugTIVUwPapdProFf5M";
  const tests = [
    {
      given: { count: 7, at: "2026-11-24T09:00:00Z" },
      ask: { action: "scale", group: "g", count: 12 },
      refuse: "count",
    },
  ];
  const mine = policy([SCALE], { tests, revision: 7 });
  const noted = (head: Fields): readonly string[] => {
    const reviewed = review(policy([SCALE], { tests, revision: 7, ...head }), mine);
    return [`asks for more: ${asksForMore(reviewed)}`, ...reviewed.notes.map(({ text }) => text)];
  };
  expect(noted({})).toEqual(["asks for more: false"]);
  expect(noted({ share: ["manifest"] })).toEqual(["asks for more: true", "theirs shows the vendor your manifest"]);
  expect(noted({ signers: { release: SIGNER } })[0]).toBe("asks for more: true");
  // Any one of people may let in a new trust statement.
  expect(noted({ people: { alice: KEYS[0], bob: KEYS[3], carol: KEYS[2] } })).toEqual([
    "asks for more: true",
    `the person bob has another key in theirs: ${KEYS[3]} instead of ${KEYS[1]}`,
  ]);
  expect(noted({ tests: [] })).toEqual([
    "asks for more: false",
    'a test of mine is not in theirs: ask {"action":"scale","group":"g","count":12}, refuse: count',
  ]);
  expect(noted({ revision: 6 })[1]).toContain("could not be installed over it");
  const renamed = review(policy([{ ...SCALE, id: "bigger" }]), policy([{ ...SCALE, id: "old" }]));
  expect([renamed.more, renamed.notes.map(({ text }) => text)]).toEqual([
    [],
    ["the id bigger is new in theirs: its rate counts nothing that was done under other ids"],
  ]);
});

test("what is too much to compare is told as a difference, never passed over", () => {
  const rules = Array.from({ length: 12 }, (_, at) => ({
    ...SCALE,
    count: { min: at, max: at + 8 },
    change: { up: at, down: 12 - at },
  }));
  const few = review(policy(rules), policy(rules.slice(1)), { ...REVIEW_LIMITS, parts: 20 });
  expect(few.more.map(({ kind, example }) => [kind, example])).toEqual([["uncompared", null]]);
  expect(asksForMore(few)).toBe(true);
  const people = Array.from({ length: 7 }, (_, at) => ({
    ...SCALE,
    approval: { by: ["alice"], need: 1, within: `${at + 1}h` },
  }));
  expect(review(policy(people), policy(people.slice(1))).more.map(({ kind }) => kind)).toEqual(["uncompared"]);
});

test("a rate that is not shown to be more is told as perhaps: here no sequence shows it, and none is passed over", () => {
  // Mine counts one of the lower counts by `a` before it counts by `b`, so that three are enough for `b`; that is not seen.
  const [low, high] = [
    { min: 3, max: 5 },
    { min: 6, max: 9 },
  ];
  const theirs = policy([
    { ...SCALE, id: "low", count: low, rate: "2 per hour" },
    { ...SCALE, id: "high", count: high, rate: "2 per hour" },
  ]);
  const mine = policy([
    { ...SCALE, id: "a", count: low, rate: "1 per hour" },
    { ...SCALE, id: "b", rate: "3 per hour" },
  ]);
  const reviewed = review(theirs, mine);
  expect(reviewed.more.map(({ kind, rule, example }) => [kind, rule, example])).toEqual([["rate", "high", null]]);
  const lines = reviewLines(reviewed, { policy: theirs, name: "t" }, { policy: mine, name: "m" });
  expect(lines.filter((line) => line.includes("perhaps more often (that it cannot was not shown)"))).toHaveLength(1);
  const json = reviewJson(reviewed, { policy: theirs, name: "t" }, { policy: mine, name: "m" }) as {
    differences: { shown: boolean; example: object | null }[];
  };
  expect(json.differences[0]).toMatchObject({ kind: "rate", shown: false, example: null });
  const logs = [theirs, mine].map((of) => ({ of, intents: new Map<string, number[]>() }));
  let both = 0;
  for (let step = 0, now = 0; step < 3000; step++) {
    now += [0, 60_000, 1_800_000, 3_599_999][(step * 7919) % 4] ?? 0;
    const count = (step * 104_729) % 3 === 0 ? 4 : 8;
    const situation = {
      asked: { action: "scale", args: { group: "g", count } },
      found: { action: "scale", count: count - 1 },
    } as const;
    const answers = logs.map(({ of, intents }) =>
      ask(
        of,
        { at: ownAt(of), situation, now: Date.UTC(2026, 0) + now, consent: { keys: new Set(), age: null } },
        { intents, since: null },
      ),
    );
    expect(isMore(answers[0]?.level ?? "refused", answers[1]?.level ?? "refused")).toBe(false);
    if (answers.some(({ level }) => level !== "allowed")) continue;
    both += 1;
    for (const [at, { intents }] of logs.entries()) {
      const rule = answers[at]?.rule ?? "";
      intents.set(rule, [...(intents.get(rule) ?? []), Date.UTC(2026, 0) + now]);
    }
  }
  expect(both).toBeGreaterThan(500);
});

test("random pairs of policies: the review and the PDP agree about every command, state, time, history and approval", () => {
  const fixed = fuzz(400, 20_261_124);
  expect(fixed.disagreement).toBeNull();
  // Looked at nothing, it would hold anything.
  expect(fixed.tally.reviewed).toBeGreaterThan(300);
  expect(fixed.tally.differing).toBeGreaterThan(1000);
  expect(fixed.tally.examples).toBeGreaterThan(500);
  const fresh = fuzz(150, Math.floor(Math.random() * 2 ** 31));
  console.log(fresh.line);
  expect(fresh.disagreement).toBeNull();
}, 180_000);
