import { expect, test } from "bun:test";
import { type Asked, type Found, type ManifestFacts, NOBODY } from "../../policy/asked.ts";
import { authorize } from "../../policy/authorize.ts";
import { explain } from "../../policy/explain/explain.ts";
import { manifestPlace } from "../../policy/manifest.ts";
import { match } from "../../policy/match.ts";
import { loadPolicy } from "../../policy/parse.ts";
import type { Policy } from "../../policy/policy.ts";
import { isRefusal, type Refusal } from "../../policy/refusal.ts";
import { shownExample } from "../../policy/review/example.ts";
import { ownAt } from "../../policy/review/point.ts";
import { review } from "../../policy/review/review.ts";
import { sentences, warnings } from "../../policy/sentences.ts";
import { compareVersions } from "../../policy/version.ts";
import { SIGNERS } from "./deploy-world.ts";
import { KEYS } from "./review-world.ts";

/** What a policy says to deploy, from the file's text to the example of a review. */
const RULE = `  - id: release
    why: New versions.
    allow: deploy
    group: brokers
    signers: { by: [one, two], need: 2 }
    version: { min: 4.1.0, max: 4.999999.999999 }
    unavailable: 1
    rate: 2 per day
    when: always
    approval: none
`;
const FILE = `version: 1
revision: 1
cluster: prod-eu-1
vendor: vendor.example
place: { cloud: aws, account: "111122223333", region: eu-west-1 }
people: { alice: ${KEYS[0]} }
signers:
  one: ${SIGNERS[0]}
  two: ${SIGNERS[1]}
share: []
dry_run: refused
rules:
${RULE}tests:
  - given: { manifest: { signed_by: [one, two], version: 4.2.0 }, at: 2026-11-24T09:00:00Z }
    ask: { action: deploy, group: brokers }
    allow: release
`;
const TEST = FILE.slice(FILE.indexOf("  - given"));

function read(text: string) {
  return loadPolicy(new TextEncoder().encode(text));
}
function load(text = FILE): Policy {
  const loaded = read(text);
  if ("errors" in loaded) throw new Error(JSON.stringify(loaded.errors));
  return loaded.policy;
}
/** The file with one thing changed, which must be there. */
function changed(from: string, to: string): string {
  expect(FILE).toContain(from);
  return FILE.replace(from, to);
}

const DIGEST = `sha256:${"5".repeat(64)}`;
const ASKED: Asked = { action: "deploy", args: { group: "brokers", manifest: DIGEST } };
const NOW = Date.parse("2026-11-24T09:00:00Z");
const EMPTY = { intents: new Map<string, number[]>(), since: null, revision: 0 };
function found(of: Policy, more: Partial<ManifestFacts> = {}): Extract<Found, { action: "deploy" }> {
  const manifest = {
    digest: DIGEST,
    signedBy: ["one", "two"],
    cluster: of.cluster,
    place: manifestPlace(of.place),
    policy: null,
    version: "4.2.0",
    group: { image: "ami-1", digest: DIGEST },
    ...more,
  };
  return { action: "deploy", manifest, image: "ami-0", count: 3 };
}
/** The rule that allows, or the refusal. */
function decided(of: Policy, more: Partial<ManifestFacts> = {}, ownGroups: readonly string[] = []): string | Refusal {
  const matched = match(of, ASKED, { ...ownAt(of), ownGroups });
  if (isRefusal(matched)) return matched;
  const decision = authorize(matched, found(of, more), EMPTY, NOW, NOBODY);
  return decision.decided === "refused" ? decision.refusal : decision.rule.id;
}

test("a manifest that the rule's signers signed, of a version in its range, for this cluster, may be deployed", () => {
  const of = load();
  expect(decided(of)).toBe("release");
  expect(decided(of, { policy: of.digest })).toBe("release");
  for (const version of ["4.1.0", "4.999999.999999", "4.10.0"]) expect(decided(of, { version })).toBe("release");
});

test.each([
  ["signed by nobody", { signedBy: [] }, "policy.manifest.signers", "signers", /none of whom signed it/],
  ["signed by one of two", { signedBy: ["one"] }, "policy.manifest.signers", "signers", /only one signed it/],
  [
    "of an older version",
    { version: "4.0.999999" },
    "policy.manifest.version",
    "version",
    /allows versions from 4.1.0/,
  ],
  ["of a newer version", { version: "5.0.0" }, "policy.manifest.version", "version", /the manifest is 5.0.0/],
  ["of another cluster", { cluster: "prod-us-1" }, "policy.manifest.cluster", "manifest", /of the cluster prod-us-1/],
  [
    "for another account",
    { place: { cloud: "aws", account: "999988887777", region: "eu-west-1" } },
    "policy.manifest.place",
    "manifest",
    /for aws\/999988887777\/eu-west-1, this cluster is in aws\/111122223333\/eu-west-1/,
  ],
  ["made for another policy", { policy: DIGEST }, "policy.manifest.policy", "manifest", /another policy than the one/],
  ["that does not name the group", { group: null }, "policy.manifest.group", "manifest", /what runs in brokers/],
] as const)("a manifest %s is refused, with the field and what was found", (_, more, code, field, because) => {
  const refusal = decided(load(), more);
  if (typeof refusal === "string") throw new Error(`it was allowed by ${refusal}`);
  expect(refusal).toMatchObject({ code, field, rule: "release", cannot: "deploy sha256:555555555555… to brokers" });
  expect(refusal.because).toMatch(because);
  expect(refusal.found ?? "").not.toBe("");
  expect(refusal.limit === undefined).toBe(field === "manifest");
});

test("the agent's own group is refused whatever the rule says, and a group without a rule is none's", () => {
  expect(decided(load(), {}, ["brokers"])).toMatchObject({ code: "match.own-group" });
  expect(match(load(), { action: "deploy", args: { group: "other", manifest: DIGEST } }, ownAt(load()))).toMatchObject({
    code: "match.no-rule",
  });
  // A rule to scale the group permits no deploy to it.
  const scale = `allow: scale\n    group: brokers\n    count: { min: 1, max: 9 }\n    change: { up: 1, down: 1 }\n`;
  const text = FILE.replace(/allow: deploy[\s\S]*?(?= {4}rate)/, scale).replace(/tests:[\s\S]*/, "tests: []\n");
  expect(decided(load(text))).toMatchObject({ code: "match.no-rule" });
});

test("two names of one key are one signer: its one signature is not two", () => {
  const key = SIGNERS[0].split("+").slice(2).join("+");
  const name = "vendor.example/other";
  const hash = new Bun.CryptoHasher("sha256").update(`${name}\n`).update(Buffer.from(key, "base64"));
  const other = `${name}+${hash.digest("hex").slice(0, 8)}+${key}`;
  const three = FILE.replace(/^ {2}two: .*$/m, `  two: ${SIGNERS[1]}\n  again: ${other}`).replace(
    "by: [one, two]",
    "by: [one, again, two]",
  );
  expect(decided(load(three), { signedBy: ["one", "again"] })).toMatchObject({ code: "policy.manifest.signers" });
  expect(decided(load(three), { signedBy: ["one", "again", "two"] })).toBe("release");
  const two = read(changed(SIGNERS[1], other));
  if (!("errors" in two)) throw new Error("two names of one key were two signers");
  expect(two.errors[0]).toMatchObject({
    path: "rules[0].signers.need",
    message: "rules[0].signers.need: needs more keys than are named",
  });
});

test.each([
  [
    "a signer that is none",
    "by: [one, two]",
    "by: [one, three]",
    "rules[0].signers.by[1]",
    /three is not one of signers/,
  ],
  ["more signatures than keys", "need: 2", "need: 3", "rules[0].signers.need", /more keys than are named/],
  ["no signer", "by: [one, two], need: 2", "by: [], need: 0", "rules[0].signers.by", /./],
  ["need 0", "need: 2", "need: 0", "rules[0].signers.need", /./],
  ["a version with a leading zero", "min: 4.1.0", "min: 4.01.0", "rules[0].version.min", /MAJOR.MINOR.PATCH/],
  ["a version of two parts", "min: 4.1.0", 'min: "4.1"', "rules[0].version.min", /MAJOR.MINOR.PATCH/],
  ["a pre-release", "min: 4.1.0", "min: 4.1.0-rc1", "rules[0].version.min", /MAJOR.MINOR.PATCH/],
  ["a range that is turned round", "min: 4.1.0", "min: 5.0.0", "rules[0].version.max", /not less than min/],
  ["nothing out of service", "unavailable: 1", "unavailable: 0", "rules[0].unavailable", /./],
  ["a missing unavailable", "    unavailable: 1\n", "", "rules[0].unavailable", /unavailable is missing/],
  ["a missing range", "    version: { min: 4.1.0, max: 4.999999.999999 }\n", "", "rules[0].version", /is missing/],
  [
    "a field of another action",
    "unavailable: 1",
    "unavailable: 1\n    count: { min: 1, max: 2 }",
    "rules[0].count",
    /unknown field/,
  ],
  [
    "a test signed by a stranger",
    "signed_by: [one, two]",
    "signed_by: [mallory]",
    "tests[0].given.manifest.signed_by[0]",
    /mallory/,
  ],
] as const)("a file with %s is refused at its place", (_, from, to, path, message) => {
  const loaded = read(changed(from, to));
  if (!("errors" in loaded)) throw new Error("it loads");
  expect(loaded.errors.map((error) => error.path)).toContain(path);
  expect(loaded.errors.find((error) => error.path === path)?.message).toMatch(message);
});

test("the file's own tests say what was found of a manifest, and which field refuses", () => {
  const cases = [
    ["{ signed_by: [one], version: 4.2.0 }", "refuse: signers"],
    ["{ signed_by: [one, two], version: 3.9.9 }", "refuse: version"],
    ["{ signed_by: [one, two], version: 4.2.0, cluster: prod-us-1 }", "refuse: manifest"],
    ["{ signed_by: [one, two], version: 4.2.0, groups: [others] }", "refuse: manifest"],
    ["{ signed_by: [one, two], version: 4.2.0, groups: [brokers, others] }", "allow: release"],
    [`{ signed_by: [one, two], version: 4.2.0, policy: "${DIGEST}" }`, "refuse: manifest"],
    ["{ signed_by: [one, two], version: 4.2.0, place: { cloud: gcp, account: p, region: r } }", "refuse: manifest"],
  ] as const;
  for (const [manifest, expected] of cases) {
    const test = TEST.replace("{ signed_by: [one, two], version: 4.2.0 }", manifest).replace(
      "allow: release",
      expected,
    );
    expect(load(FILE + test).tests).toHaveLength(2);
    const wrong = read(
      FILE + test.replace(expected, expected === "allow: release" ? "refuse: version" : "allow: release"),
    );
    expect("errors" in wrong && wrong.errors[0]?.code).toBe("policy.tests-fail");
  }
  const used = `  - given: { manifest: { signed_by: [one, two], version: 4.2.0 }, at: 2026-11-24T09:00:00Z, used: { release: 2 } }
    ask: { action: deploy, group: brokers, manifest: "${DIGEST}" }
    refuse: rate
`;
  expect(load(FILE + used).tests).toHaveLength(2);
});

test("a reviewer reads who signs, which versions and how many machines at once; one key alone is warned of", () => {
  expect(sentences(load()).at(-1)).toBe(
    "release: vendor.example may take the group brokers to a manifest that one and two signed, of a version between 4.1.0 and 4.999999.999999, by replacing its machines with at most one machine out of service at once; at most 2 per day, at any time, without asking anybody. Why: New versions.",
  );
  expect(warnings(load())).toEqual([]);
  const alone = load(changed("need: 2", "need: 1").replace("unavailable: 1", "unavailable: 3"));
  expect(sentences(alone).at(-1)).toContain("that at least one of one and two signed");
  expect(sentences(alone).at(-1)).toContain("with at most 3 machines out of service at once");
  expect(warnings(alone)).toEqual([
    "release: one release key alone decides what runs in brokers: need two keys, or an approval",
  ]);
  const asking = changed("need: 2", "need: 1")
    .replace("approval: none", "approval: { by: [alice], need: 1, within: 1h }")
    .replace("allow: release", "wait: release");
  expect(warnings(load(asking))).toEqual([]);
  expect(warnings(load(changed("min: 4.1.0", "min: 0.0.0")))).toEqual([
    "release: its versions begin at 0.0.0: every old one can be brought back",
  ]);
});

test("explain says field by field what is in the way, and what depends on the manifest where it is not known", () => {
  const of = load();
  const given = { history: EMPTY, approvals: NOBODY, now: NOW };
  const fields = (told: ReturnType<typeof explain>) =>
    Object.fromEntries(told.rules.flatMap((rule) => rule.fields.map(({ field, verdict }) => [field, verdict])));
  const told = explain(of, ASKED, ownAt(of), {
    ...given,
    found: found(of, { signedBy: ["one"], version: "9.0.0", cluster: "other" }),
  });
  expect([told.decision, told.rule, told.refusal?.code]).toEqual(["refused", "release", "policy.manifest.signers"]);
  expect(fields(told)).toEqual({
    signers: "no",
    version: "no",
    manifest: "no",
    rate: "ok",
    when: "ok",
    approval: "ok",
  });
  const only = explain(of, ASKED, ownAt(of), { ...given, found: found(of, { version: "9.0.0" }) });
  expect(fields(only)).toMatchObject({ signers: "ok", version: "no", manifest: "ok" });
  const unknown = explain(of, ASKED, ownAt(of), { ...given, found: null });
  expect(unknown.decision).toBe("depends");
  expect(fields(unknown)).toMatchObject({
    signers: "not known",
    version: "not known",
    manifest: "not known",
    when: "ok",
  });
});

const WIDER = FILE.replace("need: 2", "need: 1")
  .replace("max: 4.999999.999999", "max: 5.0.0")
  .replace(/tests:[\s\S]*/, "tests: []\n");
test.each([
  ["one signer instead of two", "need: 2", "need: 1", "signed by 1 of one, two and not by 2 of one, two"],
  ["versions beyond", "max: 4.999999.999999", "max: 5.1.0", "of version 5.0.0 to 5.1.0"],
  ["older versions", "min: 4.1.0", "min: 4.0.7", "of version 4.0.7 to 4.0.999999"],
  ["more machines at once", "unavailable: 1", "unavailable: 4", "with 2 to 4 of its machines out of service at once"],
  ["another key under a name", SIGNERS[1], SIGNERS[2], "signed by 2 of one, two (key …GdDcrPpV)"],
] as const)("review tells exactly what %s permits beyond, with a command for it", (_, from, to, words) => {
  const theirs = load(changed(from, to));
  const { more } = review(theirs, load());
  const what = more.filter(({ kind }) => kind === "command").flatMap((difference) => difference.what);
  expect(what).toEqual([expect.stringContaining(words)]);
  const example = more[0]?.example ?? null;
  if (example === null) throw new Error("no example");
  const shown = shownExample(example, theirs, load());
  expect(shown.send).toBe("deploy --group brokers --manifest FILE");
  expect(shown.ask).toEqual({ action: "deploy", group: "brokers" });
  // Pasted into their own file as a test it holds.
  const pasted = `  - given: ${JSON.stringify(shown.given)}\n    ask: ${JSON.stringify(shown.ask)}\n    allow: release\n`;
  expect(load(changed(from, to) + pasted).tests).toHaveLength(2);
});

test("review: narrower asks for no more, and two rules together cover one", () => {
  const wide = load(WIDER);
  expect(review(load(), wide).more).toEqual([]);
  const part = (id: string, version: string): string =>
    WIDER.slice(WIDER.indexOf("  - id"), WIDER.indexOf("tests:"))
      .replace("id: release", `id: ${id}`)
      .replace(/version: \{.*\}/, `version: ${version}`);
  const head = WIDER.slice(0, WIDER.indexOf("  - id"));
  const two = `${head}${part("a", "{ min: 4.1.0, max: 4.5.0 }")}${part("b", "{ min: 4.5.1, max: 5.0.0 }")}tests: []\n`;
  expect(review(wide, load(two)).more.filter(({ kind }) => kind === "command")).toEqual([]);
  const gap = two.replace("min: 4.5.1", "min: 4.5.2");
  expect(review(wide, load(gap)).more[0]?.what[0]).toContain("of version 4.5.1, ");
});

test("review: keys that are in too many different groups to be compared are said to be, not passed over", () => {
  const keys = Array.from({ length: 14 }, (_, at) => {
    const key = Buffer.concat([Buffer.from([1]), new Uint8Array(32).fill(at + 9)]);
    const hash = new Bun.CryptoHasher("sha256").update(`v/k${at}\n`).update(key).digest("hex").slice(0, 8);
    return `  k${at}: v/k${at}+${hash}+${key.toString("base64")}`;
  }).join("\n");
  const rule = (id: string, by: readonly number[]): string =>
    RULE.replace("id: release", `id: ${id}`).replace(
      "by: [one, two], need: 2",
      `by: [${by.map((at) => `k${at}`).join(", ")}], need: 1`,
    );
  const head = WIDER.slice(0, WIDER.indexOf("  - id")).replace(/signers:\n[\s\S]*?(?=share)/, `signers:\n${keys}\n`);
  const each = Array.from({ length: 14 }, (_, at) => rule(`r${at}`, [at])).join("");
  const theirs = load(`${head}${each}tests: []\n`);
  const mine = load(`${head}tests: []\n`.replace("rules:\n", "rules: []\n"));
  expect(review(theirs, mine).more.map(({ kind }) => kind)).toEqual(["uncompared"]);
  // For another cluster there is an example all the same.
  const other = load(`${head}tests: []\n`.replace("rules:\n", "rules: []\n").replace("prod-eu-1", "prod-us-1"));
  expect(review(theirs, other).more.map(({ kind }) => kind)).toContain("context");
});

test("versions are compared by their numbers", () => {
  expect(["1.10.0", "1.9.9", "0.0.1", "1.9.10", "10.0.0"].sort(compareVersions)).toEqual([
    "0.0.1",
    "1.9.9",
    "1.9.10",
    "1.10.0",
    "10.0.0",
  ]);
  expect(() => compareVersions("1.0", "1.0.0")).toThrow("is no version");
});
