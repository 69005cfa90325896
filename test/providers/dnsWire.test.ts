import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  BadAnswer,
  decode,
  decodeValue,
  encode,
  encodeName,
  encodeValue,
  type Message,
  RCODES,
  type TsigKey,
  TYPES,
} from "../../providers/local/dnsWire.ts";

const key: TsigKey = { name: "k", algorithm: "hmac-sha256", secret: Buffer.alloc(32, 7) };
const message: Message = {
  id: 0x1234,
  update: false,
  question: { name: "a.example", type: TYPES.A },
  prerequisites: [],
  changes: [],
};
const request = encode(message, key, 1_700_000_000);

test("no bytes whatever make the reader do anything but read them or say that they are no answer", () => {
  const start = Buffer.from("123480000001000000000001", "hex");
  const anything = fc.tuple(
    fc.constantFrom(Buffer.alloc(0), start, Buffer.concat([start, request.bytes.subarray(12)])),
    fc.uint8Array({ maxLength: 300 }),
    fc.nat(300),
  );
  fc.assert(
    fc.property(anything, ([head, tail, cut]) => {
      try {
        decode(
          Buffer.concat([head.subarray(0, head.length - (cut % (head.length + 1))), tail]),
          message,
          request,
          key,
          1_700_000_000,
        );
        return false;
      } catch (error) {
        return error instanceof BadAnswer;
      }
    }),
    { numRuns: 3000 },
  );
});

test("a name of exactly 255 bytes passes, one more does not; pointers only go backwards", () => {
  const label = "a".repeat(63);
  const longest = `${label}.${label}.${label}.${"b".repeat(61)}`;
  expect(encodeName(longest).length).toBe(255);
  expect(decodeValue("CNAME", encodeName(longest))).toBe(longest);
  expect(() => encodeName(`${longest}b`)).toThrow(RangeError);
  const tooLong = Buffer.concat([encodeName(longest).subarray(0, -1), Buffer.from([1, 98, 0])]);
  expect(() => decodeValue("CNAME", tooLong)).toThrow(BadAnswer);
  const oneMore = Buffer.from(encodeName(longest));
  oneMore.writeUInt8(62, 192);
  expect(() => decodeValue("CNAME", Buffer.concat([oneMore.subarray(0, -1), Buffer.from([98, 0])]))).toThrow(BadAnswer);
  for (const bytes of [
    [0xc0, 0x00],
    [0xc0, 0x05],
    [0x01],
    [0x40, 0x61, 0x00],
    [0x03, 0x61, 0x2e, 0x62, 0x00],
    [1, 97, 0xc0, 0],
  ])
    expect(() => decodeValue("CNAME", Buffer.from(bytes))).toThrow(BadAnswer);
});

test.each([
  ["2001:0DB8::0001", "2001:db8::1"],
  ["::", "::"],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
  ["1:0:0:2:0:0:4:3", "1::2:0:0:4:3"],
  ["::ffff:10.0.0.1", "::ffff:a00:1"],
  ["1:2:3:4:5:6:0:8", "1:2:3:4:5:6:0:8"],
])("%s is written as %s (RFC 5952)", (given, written) => {
  expect(decodeValue("AAAA", encodeValue("AAAA", given))).toBe(written);
});

test.each([
  ["A", "10.0.0.256"],
  ["A", "010.0.0.1"],
  ["A", "::1"],
  ["AAAA", "10.0.0.1"],
  ["AAAA", "fe80::1%eth0"],
  ["CNAME", ""],
  ["CNAME", "a..b"],
] as const)("%s %j is no value", (type, value) => {
  expect(() => encodeValue(type, value)).toThrow(RangeError);
});

test("the server's answer codes stand at their numbers (RFC 2136 section 2.2)", () => {
  expect([RCODES[0], RCODES[5], RCODES[7], RCODES[8], RCODES[9]]).toEqual([
    "NOERROR",
    "REFUSED",
    "YXRRSET",
    "NXRRSET",
    "NOTAUTH",
  ]);
});
