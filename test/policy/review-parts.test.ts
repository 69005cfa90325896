import { expect, test } from "bun:test";
import fc from "fast-check";
import { inside, parseAddress, parseCidr } from "../../policy/address.ts";
import { type Names, nameAllowed } from "../../policy/names.ts";
import { isGiven, peopleFor, type Takes } from "../../policy/review/consent.ts";
import {
  bitsIn,
  type Extent,
  holds,
  meet,
  members,
  range,
  several,
  some,
  without,
} from "../../policy/review/extents.ts";
import { nameParts } from "../../policy/review/names.ts";
import { partition, type Region } from "../../policy/review/region.ts";
import { timeParts } from "../../policy/review/times.ts";
import { valueParts } from "../../policy/review/values.ts";
import { changesIn, offsetAt } from "../../policy/review/zones.ts";
import { isOpen, parseWhen, type When } from "../../policy/when.ts";

const PARTS = 5;
const every = Array.from({ length: 1 << PARTS }, (_, set) => bitsIn(BigInt(set)));
const bits = fc.bigInt({ min: 1n, max: (1n << BigInt(PARTS)) - 1n });

/** Every value that an extent of a kind can hold in this small world. */
function worldOf({ kind }: Extent): readonly (number | readonly number[])[] {
  if (kind === "range") return [-1, 0, 1, 2, 3, 4, 5, 6, 7];
  return kind === "some" ? [0, 1, 2, 3, 4] : every;
}
const twoAlike: fc.Arbitrary<readonly [Extent, Extent, Extent]> = fc.oneof(
  fc.tuple(
    ...[0, 0, 0].map(() => fc.tuple(fc.nat(6), fc.nat(6)).map(([a, b]) => range(Math.min(a, b), Math.max(a, b)))),
  ) as fc.Arbitrary<[Extent, Extent, Extent]>,
  fc.tuple(bits.map(some), bits.map(some), bits.map(some)),
  fc.tuple(bits.map(several), bits.map(several), bits.map(several)),
);

test("what two extents share and what the one holds beyond the other is, for each value, what logic says, also of sets of names", () => {
  fc.assert(
    fc.property(twoAlike, ([a, b, c]) => {
      // Taken apart twice: the parts of the first are not plain any more.
      for (const part of [a, ...without(a, c)]) {
        const [both, beyond] = [meet(part, b), without(part, b)];
        for (const value of worldOf(a)) {
          const [inA, inB] = [holds(part, value), holds(b, value)];
          expect(both !== null && holds(both, value)).toBe(inA && inB);
          // In one part at most: they do not overlap.
          expect(beyond.filter((one) => holds(one, value)).length).toBe(inA && !inB ? 1 : 0);
        }
      }
    }),
  );
});

test("the members that are chosen for a set lie in it", () => {
  fc.assert(
    fc.property(bits, fc.array(bits, { maxLength: 4 }), (within, others) => {
      let left: Extent | null = several(within);
      for (const other of others) left = left === null ? null : (without(left, several(other))[0] ?? null);
      if (left?.kind === "several") expect(holds(left, members(left))).toBe(true);
    }),
  );
});

test("a region falls apart into leaves that do not overlap, lose nothing, and say rightly which rules hold them", () => {
  const region = fc.record({
    count: fc.tuple(fc.nat(6), fc.nat(6)).map(([a, b]): Extent => range(Math.min(a, b), Math.max(a, b))),
    when: bits.map((one): Extent => some(one)),
    names: bits.map((one): Extent => several(one)),
  });
  const inRegion = (one: Region, point: readonly [number, number, readonly number[]]): boolean =>
    Object.values(one).every((extent, at) => holds(extent, point[at] ?? -1));
  fc.assert(
    fc.property(
      region,
      fc.array(region, { maxLength: 3 }),
      fc.array(fc.tuple(fc.nat(7), fc.nat(4), fc.constantFrom(...every)), { minLength: 60 }),
      (whole, rules, points) => {
        const leaves = partition(whole, rules, () => true, { left: 10_000 });
        for (const point of points) {
          const found = leaves.filter((leaf) => inRegion(leaf.region, point));
          expect(found.length).toBe(inRegion(whole, point) ? 1 : 0);
          const held = rules.reduce((all, rule, at) => (inRegion(rule, point) ? all | (1n << BigInt(at)) : all), 0n);
          if (found[0] !== undefined) expect(found[0].held).toBe(held);
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("names fall into parts that each pattern holds whole or not at all, and each part's sample lies in it", () => {
  const name = fc.constantFrom(
    "example",
    "a.example",
    "b.example",
    "x.a.example",
    "y.x.a.example",
    "new.a.example",
    "q",
    "ba.example",
  );
  const pattern: fc.Arbitrary<Names> = fc.oneof(
    name.map((below) => ({ below })),
    fc.uniqueArray(name, { minLength: 1, maxLength: 3 }).map((exactly) => ({ exactly })),
  );
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 5 }), fc.array(name), (patterns, names) => {
      const parts = nameParts(patterns);
      for (const each of patterns) {
        for (const part of bitsIn(parts.bitsOf(each))) {
          expect(parts.partOf(parts.sample(part))).toBe(part);
          expect(nameAllowed(each, parts.sample(part))).toBe(true);
        }
        for (const one of [...names, "deep.new.a.example", "z.example"]) {
          const part = parts.partOf(one);
          expect(part >= 0 && ((parts.bitsOf(each) >> BigInt(part)) & 1n) === 1n).toBe(nameAllowed(each, one));
        }
      }
    }),
  );
});

test("below a name so long that only some labels fit, those that are named exactly leave the others, and none leave none", () => {
  const long = `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(60)}.example`;
  expect(long.length).toBe(251);
  const letters = [..."abcdefghijklmnopqrstuvwxyz0123456789"].map((label) => `${label}.${long}`);
  const left = nameParts([{ below: long }, { exactly: letters.slice(1) }]);
  expect(bitsIn(left.bitsOf({ below: long })).map(left.sample)).toContain(`a.${long}`);
  const none = nameParts([{ below: long }, { exactly: letters }]);
  expect(
    bitsIn(none.bitsOf({ below: long }))
      .map(none.sample)
      .sort(),
  ).toEqual(letters.sort());
});

test("addresses fall into parts that each CIDR holds whole or not at all, IPv4 and IPv6, and are worded as the fewest CIDRs", () => {
  const cidrs = [
    "10.0.0.0/8",
    "10.20.0.0/16",
    "10.20.0.0/17",
    "10.20.128.0/17",
    "10.20.3.4/32",
    "255.255.255.255/32",
    "2001:db8::/32",
    "2001:db8::/127",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
  ].map((text) => {
    const cidr = parseCidr(text);
    if ("fault" in cidr) throw new Error(cidr.fault);
    return cidr;
  });
  const probes = [
    "10.0.0.0",
    "10.20.3.4",
    "10.20.127.255",
    "10.20.128.0",
    "10.255.255.255",
    "11.0.0.0",
    "255.255.255.255",
    "2001:db8::1",
    "2001:db8::2",
    "2001:db9::",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
  ];
  fc.assert(
    fc.property(
      fc.array(fc.uniqueArray(fc.constantFrom(...cidrs), { minLength: 1, maxLength: 4 }), {
        minLength: 1,
        maxLength: 4,
      }),
      (lists) => {
        for (const type of ["A", "AAAA"] as const) {
          const parts = valueParts(
            type,
            lists.map((within) => ({ within })),
          );
          for (const within of lists) {
            const held = parts.bitsOf({ within });
            for (const part of bitsIn(held)) expect(parts.partOf(parts.sample(part))).toBe(part);
            for (const probe of probes) {
              const address = parseAddress(probe);
              const inOne =
                address !== null &&
                address.length === (type === "A" ? 4 : 16) &&
                within.some((cidr) => inside(address, cidr));
              const part = parts.partOf(probe);
              expect(part >= 0 && ((held >> BigInt(part)) & 1n) === 1n).toBe(inOne);
            }
          }
        }
      },
    ),
  );
  const [whole, , low, high] = cidrs;
  if (whole === undefined || low === undefined || high === undefined) throw new Error("too few");
  const parts = valueParts("A", [{ within: [whole] }, { within: [low] }, { within: [high] }]);
  expect(parts.words(parts.bitsOf({ within: [low, high] }))).toBe("10.20.0.0/16");
  expect(parts.words(parts.bitsOf({ within: [whole] }) & ~parts.bitsOf({ within: [low, high] }))).toBe(
    "10.0.0.0/12, 10.16.0.0/14, 10.21.0.0/16, 10.22.0.0/15, 10.24.0.0/13, 10.32.0.0/11, 10.64.0.0/10, 10.128.0.0/9",
  );
});

function when(text: string): When {
  const parsed = parseWhen(text);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

test("every instant from 2020 to 2100 lies in a part of the time, and the part says which windows are open then", () => {
  const windows = [
    "Mon-Fri 08:00-17:00 Europe/Berlin",
    "Sun 02:00-03:00 Europe/Berlin",
    "Mon-Fri 02:00-11:00 America/New_York",
    "Sat 23:00-24:00 Pacific/Auckland",
    "Mon-Sun 01:30-02:15 Australia/Lord_Howe",
    "Fri 00:00-24:00 Africa/Casablanca",
    "2026-11-01T00:00Z to 2026-11-25T00:00Z",
    "2026-11-10T12:00:01Z to 2090-01-01T00:00Z",
  ].map(when);
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.constantFrom(...windows), { minLength: 1, maxLength: 3 }),
      fc.array(fc.integer({ min: Date.UTC(2020, 0), max: Date.UTC(2100, 0) }), { minLength: 60 }),
      (chosen, instants) => {
        const parts = timeParts(chosen);
        for (const at of instants) {
          const part = parts.partOf(at);
          expect(part).toBeGreaterThanOrEqual(0);
          for (const one of chosen) expect(((parts.bitsOf(one) >> BigInt(part)) & 1n) === 1n).toBe(isOpen(one, at));
        }
        for (let part = 0; part < parts.count; part++) {
          const { from, to } = parts.sample(part);
          for (const at of [from, to - 1]) expect(parts.partOf(at)).toBe(part);
        }
      },
    ),
    { numRuns: 40 },
  );
}, 60_000);

test("the changes of a zone's clocks are found to the second", () => {
  const year = { from: Date.UTC(2026, 0), to: Date.UTC(2027, 0) };
  expect(changesIn("Europe/Berlin", year).map((at) => new Date(at).toISOString())).toEqual([
    "2026-03-29T01:00:00.000Z",
    "2026-10-25T01:00:00.000Z",
  ]);
  expect(changesIn("UTC", year)).toEqual([]);
  // Half an hour, and by Ramadan.
  expect(changesIn("Australia/Lord_Howe", year).length).toBe(2);
  expect(changesIn("Africa/Casablanca", year).length).toBe(2);
  expect(offsetAt("Asia/Kathmandu", year.from)).toBe((5 * 60 + 45) * 60_000);
});

test("people are found just when there are some: tried against every set of them", () => {
  const keys = ["a", "b", "c", "d"];
  const takes: fc.Arbitrary<Takes> = fc
    .tuple(fc.subarray(keys, { minLength: 1 }), fc.integer({ min: 1, max: 3 }))
    .map(([by, need]) => ({ counts: new Map(by.map((key) => [key, 1])), need, within: 60 }));
  const sets = Array.from({ length: 16 }, (_, set) => new Set(keys.filter((_key, at) => ((set >> at) & 1) === 1)));
  const fits = (chosen: ReadonlySet<string>, given: readonly Takes[], denied: readonly Takes[]): boolean =>
    given.every((one) => isGiven(one, { keys: chosen, age: 0 })) &&
    !denied.some((one) => isGiven(one, { keys: chosen, age: 0 }));
  fc.assert(
    fc.property(fc.array(takes, { maxLength: 2 }), fc.array(takes, { maxLength: 3 }), (given, denied) => {
      const found = peopleFor(given, denied);
      expect(found !== null).toBe(sets.some((chosen) => fits(chosen, given, denied)));
      if (found !== null && found !== "unknown") expect(fits(found, given, denied)).toBe(true);
    }),
    { numRuns: 400 },
  );
});
