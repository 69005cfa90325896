import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Malformed } from "../../providers/answerHead.ts";
import { answerReader, TooLong, type WireAnswer } from "../../providers/answerReader.ts";
import { BAD, BEHIND, CUT, GOOD, MAX_BYTES } from "./answers.ts";

const bytesOf = (text: string): Buffer => Buffer.from(text, "latin1");

/** What an answer becomes when its bytes come in pieces of these sizes, in turn. */
function read(
  text: string,
  sizes: readonly number[],
  method = "POST",
): WireAnswer | "malformed" | "answer-too-long" | "unfinished" {
  const bytes = bytesOf(text);
  const reader = answerReader(method, MAX_BYTES);
  try {
    for (let at = 0, turn = 0; at < bytes.length; turn++) {
      const end = at + (sizes[turn % sizes.length] ?? 1);
      const answer = reader.push(bytes.subarray(at, end));
      at = end;
      // What would still come is not looked at any more.
      if (answer !== null) return answer;
    }
  } catch (error) {
    if (error instanceof Malformed) return "malformed";
    if (error instanceof TooLong) return "answer-too-long";
    throw error;
  }
  return "unfinished";
}

const WHOLE = [1_000_000];
/** The long ones are there for their length: they come in larger pieces, for the time's sake. */
const PIECES = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });
const piecesFor = (text: string) =>
  text.length > 5000 ? PIECES.map((sizes) => sizes.map((size) => size * 997)) : PIECES;

describe("an answer that could be read as another is none, however its bytes come", () => {
  expect(BAD.length).toBeGreaterThan(60);
  test.each(BAD.map((bad) => [bad.name, bad] as const))("%s", (_, { bytes, status, method }) => {
    expect(read(bytes, WHOLE, method)).toBe(status);
    if (bytes.length < 5000) expect(read(bytes, [1], method)).toBe(status);
    fc.assert(
      fc.property(piecesFor(bytes), (sizes) => expect(read(bytes, sizes, method)).toBe(status)),
      { numRuns: 20 },
    );
  });

  test.each(Object.entries(BEHIND))("what comes behind a whole one is not passed over: %s", (_, bytes) => {
    expect(read(bytes, WHOLE)).toBe("malformed");
  });
});

test.each(Object.entries(CUT))("one that was cut short is never whole: %s", (_, bytes) => {
  expect(read(bytes, WHOLE)).toBe("unfinished");
  expect(read(bytes, [1])).toBe("unfinished");
});

test.each(GOOD.map((good) => [good.name, good] as const))(
  "a whole one is read, however its bytes come: %s",
  (_, good) => {
    const seen = (sizes: readonly number[]): unknown => {
      const answer = read(good.bytes, sizes, good.method);
      if (typeof answer === "string") return answer;
      return [answer.status, Buffer.from(answer.body).toString("latin1")];
    };
    expect(seen(WHOLE)).toEqual([good.status, good.body]);
    fc.assert(
      fc.property(PIECES, (sizes) => expect(seen(sizes)).toEqual([good.status, good.body])),
      { numRuns: 50 },
    );
  },
);

test("no bytes at all make the reader do anything but read, refuse or wait", () => {
  const words = [
    "HTTP/1.1 ",
    "200",
    " OK",
    "\r\n",
    "\n",
    "\r",
    ":",
    " ",
    "content-length",
    "transfer-encoding",
    "chunked",
    "3",
    "0",
    "abc",
    ";",
    "\0",
  ];
  const text = fc.array(fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 4 })), { maxLength: 40 });
  fc.assert(
    fc.property(text, PIECES, (parts, sizes) => {
      const all = `HTTP/1.1 200 OK\r\n${parts.join("")}`;
      const [whole, pieces] = [read(all, WHOLE), read(all, sizes)];
      // Only what stands behind a whole answer may be seen or not, as it comes in time or not.
      if (typeof whole === "object" || typeof pieces !== "object") expect(pieces).toEqual(whole);
    }),
    { numRuns: 3000 },
  );
});

test("names are in lower case, repeated fields are joined, and none is a property of every object", () => {
  const head =
    "HTTP/1.1 200 Very OK\r\nX-A: 1\r\nx-a: 2\r\n__proto__: p\r\nconstructor: c\r\nContent-Length: 0\r\n\r\n";
  const answer = read(head, WHOLE);
  if (typeof answer === "string") throw new Error(answer);
  expect(answer.reason).toBe("Very OK");
  expect(Object.entries(answer.headers)).toEqual([
    ["x-a", "1, 2"],
    ["__proto__", "p"],
    ["constructor", "c"],
    ["content-length", "0"],
  ]);
});

test("a body keeps its bytes, however many parts it comes in", () => {
  const bytes = 200_000;
  const reader = answerReader("POST", bytes);
  const buffers = (): number => {
    Bun.gc(true);
    const { Uint8Array: plain = 0, Buffer: named = 0 } = heapStats().objectTypeCounts;
    return plain + named;
  };
  const before = buffers();
  expect(reader.push(bytesOf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))).toBeNull();
  const some = bytesOf("1\r\na\r\n1;x\r\nb\r\n".repeat(1000));
  for (let sent = 0; sent < bytes; sent += 2000) expect(reader.push(some)).toBeNull();
  expect(buffers() - before).toBeLessThan(2000);
  const answer = reader.push(bytesOf("0\r\n\r\n"));
  expect(Buffer.from(answer?.body ?? []).equals(Buffer.from("ab".repeat(bytes / 2)))).toBe(true);
});
