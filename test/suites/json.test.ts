import { expect, test } from "bun:test";
import { canonical, type Json, parseCanonical } from "../../agent/wire/canonical.ts";
import { decodeUtf8 } from "../../agent/wire/jws.ts";
import { type Case, deviations, held } from "./held.ts";
import { vendored } from "./vendored.ts";

const DEPTH = 64;

/** What the road's reader says of bytes: `read`, or why it refuses them. */
function reads(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  if (text === null) return "refused: not UTF-8";
  const parsed = parseCanonical(text, DEPTH);
  return "fault" in parsed ? `refused: ${parsed.fault}` : "read";
}

test("JSONTestSuite: what is no JSON is refused, and what is JSON is read when it is canonical", () => {
  const files = Object.entries(vendored<Record<string, string>>("json-test-suite"));
  const cases: Case[] = files.map(([id, base64]) => {
    const ours = reads(Buffer.from(base64, "base64"));
    // `i_`: the suite leaves it to the parser.
    const says = id.startsWith("y_") ? "read" : id.startsWith("n_") ? "refused" : ours;
    return { id, says, ours: says === "refused" && ours !== "read" ? "refused" : ours };
  });
  expect(cases.length).toBe(318);
  expect(held("JSONTestSuite", cases, deviations("json"))).toEqual([]);
  const free = cases.filter(({ id }) => id.startsWith("i_"));
  process.stdout.write(`  of those that the suite leaves open, ${free.filter(({ ours }) => ours === "read").length}`);
  process.stdout.write(` of ${free.length} are read\n`);
  expect(free.filter(({ ours }) => ours === "read").map(({ id }) => id)).toEqual([]);
});

test("JSONTestSuite: what is JSON, and of numbers that reeve has, comes out canonical and is read as the same value", () => {
  let written = 0;
  for (const [id, base64] of Object.entries(vendored<Record<string, string>>("json-test-suite"))) {
    const text = decodeUtf8(Buffer.from(base64, "base64"));
    if (text === null || !id.startsWith("y_")) continue;
    const value = JSON.parse(text) as Json;
    if (!representable(value)) {
      expect(() => canonical(value)).toThrow(RangeError);
      continue;
    }
    const out = canonical(value);
    expect(parseCanonical(out, DEPTH)).toEqual({ value });
    expect(canonical(JSON.parse(out) as Json)).toBe(out);
    written += 1;
  }
  process.stdout.write(`JSONTestSuite: ${written} values written and read again\n`);
  expect(written).toBeGreaterThan(60);
});

function representable(value: Json): boolean {
  if (typeof value === "number") return Number.isSafeInteger(value) && !Object.is(value, -0);
  if (typeof value === "string") return value.isWellFormed();
  if (typeof value !== "object" || value === null) return true;
  return Object.entries(value).every(([key, inner]) => key.isWellFormed() && representable(inner as Json));
}

type Vector = { readonly input: string; readonly output: string };

test("RFC 8785's vectors: what is written is byte for byte what they say, and only that is read", () => {
  const cases = Object.entries(vendored<Record<string, Vector>>("jcs")).flatMap(([name, { input, output }]): Case[] => {
    const [from, to] = [input, output].map((base64) => Buffer.from(base64, "base64").toString("utf8"));
    return [
      { id: `${name}: written`, says: to ?? "", ours: written(JSON.parse(from ?? "") as Json) },
      { id: `${name}: its output`, says: "read", ours: reads(Buffer.from(to ?? "")) },
      { id: `${name}: its input`, says: "refused: parse.not-canonical", ours: reads(Buffer.from(from ?? "")) },
    ];
  });
  expect(cases.length).toBe(18);
  expect(held("RFC 8785 vectors", cases, deviations("jcs"))).toEqual([]);
});

function written(value: Json): string {
  try {
    return canonical(value);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return "refused: parse.number";
  }
}
