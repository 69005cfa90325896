import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { loadPolicy } from "../../policy/parse.ts";
import type { Policy } from "../../policy/policy.ts";
import { ask, ownAt, type Point } from "../../policy/review/point.ts";
import { review } from "../../policy/review/review.ts";
import { sentences } from "../../policy/sentences.ts";
import { SIGNER_KEYS, SIGNERS } from "./deploy-world.ts";
import { KEYS } from "./review-world.ts";

const DOCS = readFileSync(new URL("../../docs/POLICY.md", import.meta.url), "utf8");
const HEAD = `version: 1
revision: 2
cluster: prod-eu-1
vendor: vendor.example
place: { cloud: local }
people: { alice: ${KEYS[0]}, bob: ${KEYS[1]}, carol: ${KEYS[2]} }
signers: { release: ${SIGNERS[0]}, quality: ${SIGNERS[1]} }
share: []
dry_run: refused
`;

function load(text: string): Policy {
  const loaded = loadPolicy(new TextEncoder().encode(text));
  if ("errors" in loaded) throw new Error(JSON.stringify(loaded.errors));
  return loaded.policy;
}
/** The rules under a heading of the page. */
function recipe(title: string): Policy {
  const section = DOCS.slice(DOCS.indexOf(`### ${title}\n`));
  const block = /```yaml\n([\s\S]*?)```/.exec(section)?.[1];
  if (block === undefined || !section.startsWith(`### ${title}`)) throw new Error(`no recipe ${title}`);
  return load(HEAD + block);
}
/** The recipe as it would be without one of its rules. */
function without(policy: Policy, rule: string): Policy {
  const kept = policy.rules.filter(({ id }) => id !== rule);
  expect(kept.length).toBe(policy.rules.length - 1);
  const block = kept.map(
    (one) =>
      `{ id: ${one.id}, why: x, allow: scale, group: prod-eu-1-brokers, count: { min: 3, max: 9 }, change: { up: 2, down: 0 }, rate: 4 per hour, when: always, approval: none }`,
  );
  return load(`${HEAD}rules: [${block.join(", ")}]\ntests: []\n`);
}
const NOW = Date.parse("2026-11-24T09:00:00Z");
const MANIFEST = `sha256:${"0".repeat(64)}`;
const NOWHERE = { cloud: "", account: "", region: "" };
const NO_PAST = { intents: new Map<string, number[]>(), since: null };
function scale(policy: Policy, found: number, count: number, more: Partial<Point> = {}): string {
  const situation = {
    asked: { action: "scale", args: { group: "prod-eu-1-brokers", count } },
    found: { action: "scale", count: found },
  } as const;
  return ask(
    policy,
    { at: ownAt(policy), situation, now: NOW, consent: { keys: new Set(), age: null }, ...more },
    NO_PAST,
  ).level;
}

test("releases: neither one key nor an older version is enough, and only patches come without asking anybody", () => {
  const policy = recipe("Releases");
  const deploy = (signedBy: readonly string[], version: string): string => {
    const manifest = { digest: MANIFEST, signedBy, cluster: "", place: NOWHERE, policy: null, version };
    const found = { action: "deploy", manifest: { ...manifest, group: { image: "a", digest: MANIFEST } } } as const;
    const situation = {
      asked: { action: "deploy", args: { group: "prod-eu-1-brokers", manifest: MANIFEST } },
      found: { ...found, image: null, count: 3 },
    } as const;
    const consent = { keys: new Set<string>(), age: null };
    return ask(policy, { at: ownAt(policy), situation, now: NOW, consent }, NO_PAST).level;
  };
  const [release = "", quality = "", other = ""] = SIGNER_KEYS;
  expect(deploy([release, quality], "4.1.7")).toBe("allowed");
  expect(deploy([release, quality], "4.2.0")).toBe("waits");
  for (const signed of [[], [release], [quality], [release, other]])
    for (const version of ["4.1.7", "4.2.0"]) expect(deploy(signed, version)).toBe("refused");
  for (const version of ["4.1.2", "4.0.9", "5.0.0"]) expect(deploy([release, quality], version)).toBe("refused");
  expect(sentences(policy).join("\n")).toContain("that release and quality signed");
});

test("grow only: whatever is found and asked, what is permitted never removes a machine", () => {
  const policy = recipe("Grow only");
  let allowed = 0;
  for (let found = 0; found <= 12; found++) {
    for (let count = 0; count <= 12; count++) {
      if (scale(policy, found, count) !== "allowed") continue;
      allowed += 1;
      expect(count).toBeGreaterThanOrEqual(found);
    }
  }
  expect(allowed).toBeGreaterThan(20);
});

test("freeze: beside the file without it, it permits nothing more, and nothing at all before its end", () => {
  const frozen = recipe("Freeze");
  const usual = without(recipe("Break glass, for one night"), "migration-night");
  expect(review(frozen, usual).more).toEqual([]);
  for (const day of ["2026-12-20", "2026-12-24", "2027-01-03"])
    expect(scale(frozen, 5, 6, { now: Date.parse(`${day}T12:00:00Z`) })).toBe("refused");
  expect(scale(frozen, 5, 6, { now: Date.parse("2027-01-04T06:00:00Z") })).toBe("allowed");
});

test("break glass: all that it permits beyond the usual is inside its window, and by its rule", () => {
  const policy = recipe("Break glass, for one night");
  const { more, less } = review(policy, without(policy, "migration-night"));
  expect(less).toEqual([]);
  expect(more.length).toBeGreaterThan(0);
  const [from, to] = [Date.parse("2026-12-01T20:00:00Z"), Date.parse("2026-12-02T04:00:00Z")];
  for (const { rule, what, example } of more) {
    expect([rule, example !== null]).toEqual(["migration-night", true]);
    expect(what.every((one) => one.endsWith("inside 2026-12-01T20:00Z to 2026-12-02T04:00Z"))).toBe(true);
    const now = example?.point.now ?? 0;
    expect(from <= now && now < to).toBe(true);
  }
});

test("two people: one is not enough, two are, and not when it is over two hours", () => {
  const policy = recipe("Two people for what cannot be undone");
  const [alice, bob] = KEYS;
  if (alice === undefined || bob === undefined) throw new Error("no keys");
  const by = (keys: readonly string[], age: number): string =>
    scale(policy, 9, 8, { consent: { keys: new Set(keys), age } });
  expect([by([], 0), by([alice], 0), by([alice, bob], 0), by([alice, bob], 7199), by([alice, bob], 7200)]).toEqual([
    "waits",
    "waits",
    "allowed",
    "allowed",
    "refused",
  ]);
  expect(sentences(policy).join(" ")).toContain("once 2 of alice, bob and carol approved within 2h");
});

test("a DNS migration: only the two names, only into the new network, only on the day, and only records that are there", () => {
  const policy = recipe("A DNS migration");
  const move = (
    name: string,
    value: string,
    change: "create" | "replace" | "delete",
    at = "2026-12-01T09:00:00Z",
  ): string => {
    const situation = {
      asked: {
        action: "update-dns",
        args: {
          zone: "prod-eu-1.example.com",
          name,
          type: "A",
          change,
          values: change === "delete" ? [] : [value],
          ttl: 60,
        },
      },
      found: { action: "update-dns", record: change === "create" ? null : { values: ["10.20.3.4"], ttl: 60 } },
    } as const;
    return ask(
      policy,
      { at: ownAt(policy), situation, now: Date.parse(at), consent: { keys: new Set(), age: null } },
      NO_PAST,
    ).level;
  };
  const name = "b1.brokers.prod-eu-1.example.com";
  expect(move(name, "10.30.3.4", "replace")).toBe("allowed");
  expect([
    move(name, "10.20.3.4", "replace"),
    move("b3.brokers.prod-eu-1.example.com", "10.30.3.4", "replace"),
    move(name, "10.30.3.4", "create"),
    move(name, "10.30.3.4", "delete"),
    move(name, "10.30.3.4", "replace", "2026-12-02T08:00:00Z"),
  ]).toEqual(["refused", "refused", "refused", "refused", "refused"]);
});
