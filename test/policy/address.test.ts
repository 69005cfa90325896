import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { inside, parseAddress, parseCidr } from "../../policy/address.ts";

// A busy machine is not a failure.
setDefaultTimeout(60_000);

const cidr = (text: string) => {
  const parsed = parseCidr(text);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
};
const holds = (net: string, address: string): boolean => inside(parseAddress(address) ?? [], cidr(net));

test("an address lies inside a CIDR exactly when its first bits are the same", () => {
  expect(holds("10.20.0.0/16", "10.20.0.0")).toBe(true);
  expect(holds("10.20.0.0/16", "10.20.255.255")).toBe(true);
  expect(holds("10.20.0.0/16", "10.21.0.0")).toBe(false);
  expect(holds("10.20.0.0/16", "10.19.255.255")).toBe(false);
  expect(holds("10.20.30.40/32", "10.20.30.40")).toBe(true);
  expect(holds("10.20.30.40/32", "10.20.30.41")).toBe(false);
  expect(holds("10.20.128.0/17", "10.20.127.255")).toBe(false);
  expect(holds("2001:db8::/32", "2001:db8:ffff::1")).toBe(true);
  expect(holds("2001:db8::/32", "2001:db9::")).toBe(false);
  // Never across families.
  expect(holds("2001:db8::/32", "32.1.13.184")).toBe(false);
  expect(holds("32.0.0.0/8", "2001:db8::")).toBe(false);
});

test("only one spelling of an address is an address", () => {
  const bad = [
    "",
    "10.20.3",
    "10.20.3.4.5",
    "10.20.3.04",
    "010.20.3.4",
    "10.20.3.256",
    "0x0a.20.3.4",
    "10.20.3.4 ",
    " 10.20.3.4",
    "10.20.3.-4",
    "169090600",
    "2001:DB8::1",
    "2001:0db8::1",
    "2001:db8:0:0:0:0:0:1",
    "2001:db8::0:1",
    "2001:db8:0:1::1:0:0:1:2",
    "1::2::3",
    ":::",
    ":1",
    "1:",
    "::ffff:10.0.0.1",
    "fe80::1%eth0",
    "[::1]",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7",
    "1:2:3::4:5:6:7:8",
    "12345::",
    // RFC 5952 section 4.2: the longest run, the first among equals, never a single group.
    "2001::1:0:0:0:1",
    "1:0:0:2::3:4",
    "2001:db8::1:1:1:1:1",
  ];
  for (const text of bad) expect([text, parseAddress(text)]).toEqual([text, null]);
  const good = [
    "0.0.0.0",
    "255.255.255.255",
    "::",
    "::1",
    "1::",
    "2001:db8::1",
    "1:2:3:4:5:6:7:8",
    "2001:db8:0:1:1:1:1:1",
  ];
  for (const text of good) expect([text, parseAddress(text)?.length]).toEqual([text, text.includes(":") ? 16 : 4]);
});

test("every IPv6 address has a spelling, the URL standard's, and it comes back as its bytes", () => {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const long = groups.map((each) => each.toString(16)).join(":");
      const text = new URL(`http://[${long}]/`).hostname.slice(1, -1);
      expect(parseAddress(text)).toEqual(groups.flatMap((each) => [each >> 8, each & 255]));
    }),
    { numRuns: 500 },
  );
});

test("a CIDR is refused with /0, host bits, other lengths, leading zeros or another spelling", () => {
  const bad = [
    "0.0.0.0/0",
    "::/0",
    "10.0.0.1/8",
    "10.0.0.0/33",
    "2001:db8::/129",
    "10.0.0.0/08",
    "10.0.0.0",
    "10.0.0.0/",
    "2001:db8::1/64",
    "2001:DB8::/32",
    "10.0.0.0/8/8",
    "10.0.0.0/-1",
  ];
  for (const text of bad) expect([text, "fault" in parseCidr(text)]).toEqual([text, true]);
});
