import { gzipSync } from "node:zlib";
import type { Reply } from "../identity/plane.ts";

/** Answers that are none, whatever was asked: form, length, depth, encoding, headers. */
export function poisons(): Reply[] {
  const ok = (body: unknown, headers: Record<string, string> = {}): Reply => ({ status: 200, body, headers });
  return [
    ok(""),
    ok("null"),
    ok("[]"),
    ok("{}"),
    ok("7"),
    ok('{"__proto__":{"polluted":true},"next":0}'),
    ok('{"commands":[],"cancel":[],"trust":[],"more":1}'),
    ok('{"commands":["a"],"cancel":["not an id"],"trust":[]}'),
    ok(`{"commands":${JSON.stringify(Array.from({ length: 17 }, () => "x"))},"cancel":[],"trust":[]}`),
    ok(`{"commands":["${"y".repeat(64 * 1024 + 1)}"],"cancel":[],"trust":[]}`),
    ok(`{"commands":[],"cancel":[],"trust":${JSON.stringify(Array.from({ length: 101 }, () => "a.b.c"))}}`),
    ok('{"next":-1}'),
    ok('{"next":1e999}'),
    ok('{"next":"0"}'),
    ok('{"chain":["AAAA"]}'),
    ok(`${"[".repeat(500_000)}${"]".repeat(500_000)}`),
    ok(`{"a":"${"z".repeat(1024 * 1024)}"}`),
    ok("<html>sign in</html>", { "content-type": "text/html" }),
    ok("{}", { "content-encoding": "br" }),
    ok(gzipSync("{}").toString("latin1"), { "content-encoding": "gzip" }),
    ok("\u0000\u0001"),
    { status: 307, body: "{}", headers: { location: "https://127.0.0.1:1/" } },
    { status: 500, body: "oh" },
    { status: 503, body: { code: "unavailable", message: "\u001b[2J\u202e".repeat(50) } },
    { status: 403, body: { code: "no-such-code", message: "x" } },
    { status: 403, body: { code: "malformed", message: "x".repeat(100_000) } },
    { status: 204, body: "" },
    {
      status: 200,
      body: "{}",
      headers: Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`x-${at}`, "h".repeat(900)])),
    },
  ];
}
