import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { PAGE, refusalsPage } from "../../build/refusals.ts";
import { REFUSAL_CODES } from "../../policy/refusal.ts";
import { REMEDIES } from "../../policy/remedies.ts";
import { sources, withoutComments } from "../architecture/sources.ts";

/** Where codes are declared or explained, not said. */
const DECLARED = ["policy/refusal.ts", "policy/remedies.ts", "policy/policyRemedies.ts"];
const texts = sources(["agent", "policy", "providers", "control"])
  .filter(({ path }) => !DECLARED.includes(path))
  .map(({ text }) => withoutComments(text));
const all = texts.join("\n");
/** Codes that are put together: `policy.${field}.above-max` stands for each that fits it. */
const TEMPLATES = [...all.matchAll(/`([a-z]+\.[a-z.-]*\$\{(?!string\})[^`]*)`/g)].map(
  ([, text = ""]) => new RegExp(`^${text.replaceAll(".", "\\.").replace(/\$\{[^}]*\}/g, "[a-z-]+")}$`),
);
const isSaid = (code: string): boolean =>
  all.includes(`"${code}"`) || TEMPLATES.some((template) => template.test(code));

test("docs/REFUSALS.md is what the code says, byte for byte: `bun run docs:refusals` writes it", () => {
  expect(readFileSync(PAGE, "utf8")).toBe(refusalsPage());
});

test("docs/REFUSALS.md names every refusal's code once, and no other", () => {
  const rows = [...readFileSync(PAGE, "utf8").matchAll(/^\| `([a-z-]+\.[a-z.-]+)` \|/gm)].map((row) => row[1] ?? "");
  expect(rows.toSorted()).toEqual([...REFUSAL_CODES].toSorted());
});

test("every code is said somewhere in the sources, or is listed as retired with its reason", () => {
  expect(texts.length).toBeGreaterThan(50);
  const unsaid = REFUSAL_CODES.filter((code) => !isSaid(code));
  const retired = REFUSAL_CODES.filter((code) => REMEDIES[code].retired !== undefined);
  expect(unsaid).toEqual(retired);
  expect(isSaid("policy.ttl.above-max")).toBe(true);
  expect(isSaid("policy.nothing")).toBe(false);
});

test("each cause and remedy is whole sentences for a person: no code of ours in it, no blame", () => {
  for (const [code, { cause, vendor, owner, retired }] of Object.entries(REMEDIES))
    for (const text of [cause, vendor, owner, ...(retired === undefined ? [] : [retired])]) {
      expect([code, text]).toEqual([code, expect.stringMatching(/^(?:[A-Z0-9]|`).*\.$/)]);
      expect([code, text.length < 240]).toEqual([code, true]);
      expect(text).not.toMatch(/\b(?:invalid|illegal|bad|please|you must|failed to|denied|oops)\b/i);
    }
});
