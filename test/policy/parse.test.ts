import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { MAX_POLICY_BYTES as READ_BYTES } from "../../agent/limits.ts";
import { MAX_POLICY_BYTES } from "../../policy/limits.ts";
import { loadPolicy, type PolicyError, parsePolicy } from "../../policy/parse.ts";
import { policyJsonSchema } from "../../policy/schema.ts";

// A busy machine is not a failure.
setDefaultTimeout(60_000);

const EXAMPLE = readFileSync(new URL("./example.yaml", import.meta.url), "utf8");
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function errors(input: Uint8Array | string): readonly PolicyError[] {
  const loaded = loadPolicy(typeof input === "string" ? bytes(input) : input);
  return "errors" in loaded ? loaded.errors : [];
}
/** The example with one piece of text exchanged; the piece must be there. */
function changed(from: string, to: string): string {
  expect(EXAMPLE).toContain(from);
  return EXAMPLE.replace(from, to);
}
const lineOf = (text: string, piece: string): number => text.slice(0, text.indexOf(piece)).split("\n").length;

test("the example policy parses, its tests pass, and its digest is that of its bytes", () => {
  const loaded = loadPolicy(bytes(EXAMPLE));
  if ("errors" in loaded) throw new Error(JSON.stringify(loaded.errors));
  expect(loaded.policy.rules.map((rule) => rule.id)).toEqual([
    "brokers-grow",
    "brokers-shrink",
    "broker-certificates",
    "broker-dns",
  ]);
  expect(loaded.digest).toBe(`sha256:${new Bun.CryptoHasher("sha256").update(EXAMPLE).digest("hex")}`);
});

// What is exchanged in the example, by what, and the words and the place (text at which it stands) of the error.
const BAD: readonly (readonly [name: string, from: string, to: string, message: RegExp, at: string])[] = [
  ["an anchor", "dry_run: allowed", "dry_run: &a allowed", /anchor/, "&a"],
  ["an alias", "dry_run: allowed", "dry_run: *a", /alias/, "*a"],
  ["a tag", "dry_run: allowed", "dry_run: !!str allowed", /tag/, "!!str"],
  ["a lone tag", "dry_run: allowed", "dry_run: ! allowed", /tag/, "! allowed"],
  ["a merge key", "place: { cloud: local }", "place: { <<: { cloud: local } }", /merge key/, "<<"],
  ["a directive", "version: 1", "%YAML 1.2\n---\nversion: 1", /directive|marker|Nested|Implicit/, "%YAML"],
  ["a second document", "dry_run: allowed", "---\ndry_run: allowed", /marker/, "---"],
  ["a duplicate key", "dry_run: allowed", "dry_run: allowed\ndry_run: refused", /twice/, "dry_run: refused"],
  ["a duplicate key within", "{ min: 3, max: 9 }", "{ min: 3, max: 9, max: 99 }", /twice/, "max: 99"],
  [
    "an unknown field",
    "dry_run: allowed",
    "dry_run: allowed\nallow_all: true",
    /unknown field "allow_all"/,
    "allow_all",
  ],
  [
    "an unknown field of a rule",
    "    rate: 4 per hour",
    "    burst: 3\n    rate: 4 per hour",
    /unknown field "burst"/,
    "burst",
  ],
  ["__proto__", "dry_run: allowed", "dry_run: allowed\n__proto__: {}", /unknown field "__proto__"/, "__proto__"],
  ["a missing field", "dry_run: allowed\n", "", /dry_run is missing/, "version"],
  ["a missing field of a rule", "    rate: 4 per hour\n", "", /rate is missing/, "id: brokers-grow"],
  ["a missing bound", "{ min: 3, max: 9 }", "{ min: 3 }", /max is missing/, "{ min: 3 }"],
  ["an empty field", "dry_run: allowed", "dry_run:", /nothing stands here/, "\nrules"],
  ["null", "dry_run: allowed", "dry_run: ~", /nothing stands here/, "~"],
  ["a wildcard group", "group: prod-eu-1-brokers", "group: prod-eu-1-*", /exact name/, "prod-eu-1-*"],
  ["a quoted wildcard", "group: prod-eu-1-brokers", 'group: "*"', /exact name/, '"*"'],
  ["a wildcard name", "{ below: prod-eu-1.example.com }", "{ exactly: ['*.example.com'] }", /DNS name/, "'*.ex"],
  ["an upper-case name", "below: prod-eu-1.example.com", "below: Prod.example.com", /DNS name/, "Prod."],
  ["a trailing dot", "below: prod-eu-1.example.com", "below: example.com.", /DNS name/, "example.com."],
  ["IDN", "below: prod-eu-1.example.com", "below: xn--bcher-kva.example", /DNS name/, "xn--"],
  ["an empty label", "below: prod-eu-1.example.com", "below: a..example", /DNS name/, "a..ex"],
  ["a name over 253 bytes", "below: prod-eu-1.example.com", `below: ${"a.".repeat(126)}aa`, /DNS name/, "a.a.a"],
  ["0.0.0.0/0", "10.20.0.0/16", "0.0.0.0/0", /every address/, "0.0.0.0/0"],
  ["::/0", "[10.20.0.0/16]", "['::/0']", /every address/, "'::/0'"],
  ["host bits", "10.20.0.0/16", "10.20.0.1/16", /must be zero/, "10.20.0.1"],
  ["a leading zero", "10.20.0.0/16", "10.020.0.0/16", /CIDR/, "10.020"],
  ["no values at all", "[10.20.0.0/16]", "[]", /values.within/, "[]"],
  ["exactly for addresses", "{ within: [10.20.0.0/16] }", "{ exactly: [10.20.0.1] }", /goes with types/, "{ exactly"],
  ["an unknown action", "allow: scale", "allow: anything", /not an action/, "anything"],
  ["the same id twice", "id: brokers-shrink", "id: brokers-grow\n    #", /another rule|why is/, "brokers-grow\n    #"],
  ["min over max", "{ min: 3, max: 9 }", "{ min: 9, max: 3 }", /not less/, "3 }"],
  ["a negative count", "{ min: 3, max: 9 }", "{ min: -3, max: 9 }", /count.min/, "-3"],
  ["a float", "{ min: 3, max: 9 }", "{ min: 3.0, max: 9 }", /plain integer/, "3.0"],
  ["a huge count", "{ min: 3, max: 9 }", "{ min: 3, max: 9000000 }", /count.max/, "9000000"],
  ["a hexadecimal count", "{ min: 3, max: 9 }", "{ min: 3, max: 0x9 }", /plain integer/, "0x9"],
  ["a rate of 0", "4 per hour", "0 per hour", /a rate/, "0 per hour"],
  ["a rate by the year", "4 per hour", "4 per year", /a rate/, "4 per year"],
  ["a window over midnight", "08:00-17:00", "22:00-06:00", /midnight/, "Mon-Fri 22"],
  ["an unknown zone", "Europe/Berlin", "Europe/Entenhausen", /IANA/, "Mon-Fri"],
  ["an offset as zone", "Europe/Berlin", "+02:00", /IANA/, "Mon-Fri"],
  ["a stranger approving", "by: [alice, bob]", "by: [alice, mallory]", /mallory is not one of people/, "mallory"],
  ["more approvals than people", "need: 1", "need: 3", /more people/, "3, within"],
  ["a duration in words", "max: 30d", "max: 30 days", /a duration/, "30 days"],
  [
    "an unquoted account",
    "{ cloud: local }",
    "{ cloud: aws, account: 111122223333, region: eu-west-1 }",
    /account/,
    "111122223333,",
  ],
  ["a shortened key", "AAAAC3NzaC1lZDI1NTE5", "AAAAC3NzaC1lZDI1", /OpenSSH/, "ssh-ed25519 AAAAC3NzaC1lZDI1"],
  [
    "one key for two people",
    "AAAAC3NzaC1lZDI1NTE5AAAAIHqFHRDbKQ9JIihr5L9esibQDHdYvgyWhx+g0Qa7cot6",
    "AAAAC3NzaC1lZDI1NTE5AAAAINtZ4O9PuEUN83PrKXXZbb8LYwVQohR4fjGuYLVh0jnI # bob",
    /bob has the same key as alice: two names with one key would count as two people/,
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINtZ4O9PuEUN83PrKXXZbb8LYwVQohR4fjGuYLVh0jnI # bob",
  ],
  ["a signer whose hash is wrong", "release-2026+", "release-2027+", /note verifier/, "vendor.example/release-2027"],
  ["a test of no rule", "allow: brokers-grow }", "allow: nothing-such }", /no rule nothing-such/, "nothing-such"],
  ["a test that says nothing", ", allow: brokers-grow }", " }", /one of allow, wait and refuse/, "{ given"],
  ["a test without a time", "{ count: 7, at: 2026-11-24T09:00:00Z }", "{ count: 7 }", /at is missing/, "{ count: 7 }"],
  ["a day that is not", "{ count: 7, at: 2026-11-24", "{ count: 7, at: 2026-11-31", /a time/, "2026-11-31"],
  ["an escape", "group: prod-eu-1-brokers", 'group: "prod\\u002deu"', /escape/, '"prod'],
  ["a carriage return", "dry_run: allowed\n", "dry_run: allowed\r\n", /carriage return/, "\r"],
  ["NUL", "dry_run: allowed", "dry_run: allowed\0", /U\+0000/, "\0"],
  ["a right-to-left override", "More load.", "More \u202e load.", /U\+202E/, "\u202e"],
];

for (const [name, from, to, message, at] of BAD) {
  test(`a policy with ${name} is refused at its place: the whole file`, () => {
    const text = changed(from, to);
    const found = errors(text).find((error) => message.test(error.message));
    expect(errors(text).length).toBeGreaterThan(0);
    if (found === undefined) throw new Error(JSON.stringify(errors(text)));
    expect(found.code).toBe("policy.invalid");
    expect(found.hint).not.toBe("");
    // From where the change was made: the piece may stand earlier in a comment.
    const changedAt = Math.max(EXAMPLE.indexOf(from) - 60, 0);
    const near = at === "version" || at === "{ given" || at === "id: brokers-grow" ? 0 : changedAt;
    const offset = text.indexOf(at, near);
    expect(found.line).toBe(text.slice(0, offset).split("\n").length);
    if (!at.startsWith("\n")) expect(found.column).toBe(offset - text.lastIndexOf("\n", offset - 1));
  });
}

test("an empty file, one of comments, a BOM, bytes that are not UTF-8 and a file over the limit are refused", () => {
  expect(errors("")[0]?.message).toContain("empty");
  expect(errors("# nothing\n")[0]?.message).toContain("empty");
  expect(errors(`\uFEFF${EXAMPLE}`)[0]?.message).toContain("byte order mark");
  expect(errors(new Uint8Array([...bytes(EXAMPLE), 0xff]))[0]?.message).toContain("UTF-8");
  expect(errors(new Uint8Array([0xfe, 0xff, 0, 0x61]))[0]?.message).toContain("UTF-8");
  const long = bytes(`${EXAMPLE}#${"x".repeat(MAX_POLICY_BYTES)}`);
  expect(errors(long)[0]?.message).toContain("over");
});

test("the agent reads exactly as many bytes as the parser takes", () => {
  expect(READ_BYTES).toBe(MAX_POLICY_BYTES);
});

test("a file that was written only half does not load, wherever it ends", () => {
  const whole = bytes(EXAMPLE);
  let looked = 0;
  // The last line alone may go: a test is not what permits.
  const lastTest = EXAMPLE.lastIndexOf("  - given");
  for (let end = 0; end < lastTest; end += 37) {
    const loaded = loadPolicy(whole.subarray(0, end));
    const inTests = end > EXAMPLE.indexOf("tests:");
    if ("policy" in loaded) expect(inTests).toBe(true);
    looked++;
  }
  expect(looked).toBeGreaterThan(50);
});

test("a file nested absurdly deep is refused, not a crash", () => {
  for (const piece of ["[", "- ", "{a: ", "? "]) expect(errors(piece.repeat(20_000)).length).toBeGreaterThan(0);
});

test("a file whose own test fails does not load, and the error stands at the test's line", () => {
  const text = changed("count: 9 }, allow: brokers-grow }", "count: 10 }, allow: brokers-grow }");
  const [error] = errors(text);
  expect(error?.code).toBe("policy.tests-fail");
  expect(error?.line).toBe(lineOf(text, "count: 10 }, allow"));
  expect(error?.message).toContain("expected allow: brokers-grow, decided refuse: count");
  expect("policy" in parsePolicy(bytes(text))).toBe(true);
});

test("the JSON Schema is the parser's: every field of a rule is required and none besides", () => {
  const schema = JSON.stringify(policyJsonSchema());
  expect(schema).toContain('"required":["version","revision","cluster","vendor","place","people","signers","share"');
  expect(schema).toContain('"required":["id","why","allow","group","count","change","rate","when","approval"]');
  expect(schema).toContain('"additionalProperties":false');
});
