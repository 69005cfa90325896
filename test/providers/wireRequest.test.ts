import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { addressOf, hostField, requestBytes, type WireRequest } from "../../providers/wireRequest.ts";

const PLAIN: WireRequest = {
  ...{ protocol: "https:", hostname: "api.example", port: null, method: "POST", path: "/a?b=c" },
  ...{ headers: { "x-a": "1" }, body: new TextEncoder().encode("body") },
};
const textOf = (more: Partial<WireRequest>): string =>
  Buffer.from(requestBytes({ ...PLAIN, ...more })).toString("latin1");

test("what travels is the request, our own Host and Connection, the body's length, and nothing else", () => {
  expect(textOf({})).toBe(
    "POST /a?b=c HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\nx-a: 1\r\nContent-Length: 4\r\n\r\nbody",
  );
  expect(textOf({ method: "GET", body: null, headers: {} })).toBe(
    "GET /a?b=c HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n",
  );
  // RFC 9110 section 8.6: a method that may have a body says that there is none.
  for (const method of ["POST", "PUT", "PATCH", "DELETE"])
    expect(textOf({ method, body: null, headers: {} })).toContain("Content-Length: 0\r\n");
});

test.each([
  [{ hostname: "api.example", port: 443 }, "api.example", { host: "api.example", port: 443 }],
  [{ hostname: "api.example", port: 8443 }, "api.example:8443", { host: "api.example", port: 8443 }],
  [{ protocol: "http:", hostname: "127.0.0.1", port: null }, "127.0.0.1", { host: "127.0.0.1", port: 80 }],
  [{ protocol: "http:", hostname: "127.0.0.1", port: 443 }, "127.0.0.1:443", { host: "127.0.0.1", port: 443 }],
  [{ hostname: "[::1]", port: 8443 }, "[::1]:8443", { host: "::1", port: 8443 }],
  [{ hostname: "fd00::1", port: null }, "[fd00::1]", { host: "fd00::1", port: 443 }],
] as const)("%j goes to %s", (more, field, address) => {
  const request: WireRequest = { ...PLAIN, ...more };
  expect(hostField(request)).toBe(field);
  expect(addressOf(request)).toEqual(address);
});

test("a host that was signed is taken when it is this request's own, with or without the protocol's own port", () => {
  for (const host of ["api.example", "API.example", "api.example:443"])
    expect(textOf({ headers: { Host: host } }).match(/host/gi)).toHaveLength(1);
});

describe("what would be another request on the wire is none", () => {
  const cases: [string, Partial<WireRequest>][] = [
    ["a line's end in a value", { headers: { "x-a": "1\r\nx-b: 2" } }],
    ["LF in a value", { headers: { "x-a": "1\nx-b: 2" } }],
    ["CR in a value", { headers: { "x-a": "1\rx-b: 2" } }],
    ["a line's end behind a value", { headers: { "x-a": "1\r\n" } }],
    ["a zero byte in a value", { headers: { "x-a": "1\0" } }],
    ["a character of two bytes in a value", { headers: { "x-a": "\u010a" } }],
    ["a space around a value", { headers: { "x-a": " 1" } }],
    ["a line's end in a name", { headers: { "x-a: 1\r\nx-b": "2" } }],
    ["a colon in a name", { headers: { "x-a:": "2" } }],
    ["an empty name", { headers: { "": "2" } }],
    ["a name in two spellings", { headers: { "x-a": "1", "X-A": "2" } }],
    ["another host", { headers: { host: "other.example" } }],
    ["another port", { headers: { host: "api.example:8443" } }],
    ["another length", { headers: { "content-length": "3" } }],
    ["a length of its own form", { headers: { "content-length": "4, 4" } }],
    ["chunks", { headers: { "transfer-encoding": "chunked" } }],
    ["a kept connection", { headers: { connection: "keep-alive" } }],
    ["an expectation", { headers: { Expect: "100-continue" } }],
    ["another protocol's offer", { headers: { upgrade: "h2c" } }],
    ["credentials for a proxy", { headers: { "proxy-authorization": "Basic eDp5" } }],
    ["a space in the path", { path: "/a b" }],
    ["a line's end in the path", { path: "/a HTTP/1.1\r\nx-b: 2\r\n\r\n" }],
    ["LF in the path", { path: "/a\n" }],
    ["a fragment", { path: "/a#b" }],
    ["a path of no ASCII", { path: "/\u00e4" }],
    ["a path of its own origin", { path: "https://other.example/" }],
    ["an empty path", { path: "" }],
    ["every path", { path: "*" }],
    ["a line's end in the method", { method: "GET / HTTP/1.1\r\nx: y\r\n\r\nGET" }],
    ["a method in lower case", { method: "get" }],
    ["a tunnel", { method: "CONNECT" }],
    ["an echo", { method: "TRACE" }],
    ["a line's end in the host's name", { hostname: "api.example\r\nx-a" }],
    ["credentials in the host's name", { hostname: "user@api.example" }],
    ["a port in the host's name", { hostname: "api.example:1" }],
    ["a host's name with an underscore first", { hostname: "_api.example" }],
    ["an empty host", { hostname: "" }],
    ["a host's name with a space", { hostname: "api example" }],
    ["half a bracket", { hostname: "[::1" }],
    ["a name in brackets", { hostname: "[api.example]" }],
    ["an address with a zone", { hostname: "fe80::1%eth0" }],
    ["a port of 0", { port: 0 }],
    ["a port of 65536", { port: 65536 }],
    ["half a port", { port: 1.5 }],
  ];
  test.each(cases)("%s", (_, more) => {
    expect(() => requestBytes({ ...PLAIN, ...more })).toThrow(TypeError);
  });

  test("another protocol", () => {
    expect(() => requestBytes({ ...PLAIN, protocol: "ftp:" as "http:" })).toThrow(TypeError);
  });

  test("whatever a value, a name or a path is: it is refused, or its line is the one line that it is", () => {
    const any = fc.string({ unit: "binary", maxLength: 12 });
    fc.assert(
      fc.property(any, any, any, (name, value, path) => {
        let text: string;
        try {
          text = textOf({ path: `/${path}`, headers: { [`x${name}`]: value }, body: null, method: "GET" });
        } catch (error) {
          if (error instanceof TypeError) return;
          throw error;
        }
        expect(text).toBe(
          `GET /${path} HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\nx${name}: ${value}\r\n\r\n`,
        );
        expect(text.split(/\r|\n/).length).toBe(11);
      }),
      { numRuns: 5000 },
    );
  });
});
