import { expect, test } from "bun:test";
import fc from "fast-check";
import { canonical, type Json, parseCanonical } from "../../agent/wire/canonical.ts";

/** Values that reeve has, the strange names and characters among them. */
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom("__proto__", "constructor", "1", "10", "\u2028", "😀", "\ud7ff"),
);
const { value } = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", maxDepth: 5 },
    fc.oneof(fc.maxSafeInteger(), fc.boolean(), fc.constant(null), text).filter((one) => !Object.is(one, -0)),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(text, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));
const wellFormed = (one: Json): boolean => !/\\ud[89a-f]/i.test(JSON.stringify(one));
const values = value.filter(wellFormed);

test("what is written is read as the same value, is written the same again, and is JSON to everybody", () => {
  fc.assert(
    fc.property(values, (one) => {
      const written = canonical(one);
      expect(parseCanonical(written, 64)).toEqual({ value: one });
      expect(canonical(JSON.parse(written) as Json)).toBe(written);
    }),
    { numRuns: 1000 },
  );
});

test("the order in which names were put in does not matter", () => {
  const names = fc.uniqueArray(
    text.filter((name) => name.isWellFormed()),
    { minLength: 2, maxLength: 6 },
  );
  fc.assert(
    fc.property(
      names.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
      ([all, other]) => {
        const of = (order: readonly string[]): Json => Object.fromEntries(order.map((name) => [name, name.length]));
        expect(canonical(of(other))).toBe(canonical(of(all)));
      },
    ),
    { numRuns: 500 },
  );
});

test("a text with anything put in, taken out or changed is refused, or is another value's own text", () => {
  const pieces = fc.constantFrom(
    " ",
    "\n",
    "\t",
    ",",
    "0",
    ".0",
    "e0",
    "-",
    "\\u0061",
    '"',
    "\ufeff",
    "\u0000",
    "[",
    "}",
  );
  let refused = 0;
  fc.assert(
    fc.property(values, fc.nat(400), pieces, fc.nat(2), (one, at, piece, cut) => {
      const written = canonical(one);
      const place = at % (written.length + 1);
      const changed = written.slice(0, place) + piece + written.slice(place + cut);
      if (changed === written) return;
      const read = parseCanonical(changed, 64);
      if ("fault" in read) refused += 1;
      else expect(canonical(read.value)).toBe(changed);
    }),
    { numRuns: 1000 },
  );
  expect(refused).toBeGreaterThan(300);
});
