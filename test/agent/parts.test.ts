import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Entry } from "../../agent/audit/entry.ts";
import { watchClock } from "../../agent/clock.ts";
import { forbiddenNames } from "../../agent/environment.ts";
import { MAX_REFUSAL_ENTRY_BYTES } from "../../agent/limits.ts";
import { asking, lineBytes, outcomeBody, refusedBody } from "../../agent/record.ts";
import { complaint, printable } from "../../agent/render.ts";
import type { Command } from "../../agent/wire/parse.ts";
import { refuse } from "../../policy/refusal.ts";

describe("the environment", () => {
  test("every family of names that can change what runs is found, in either case, also empty", () => {
    const environ = [
      "PATH=/bin",
      "HOME=/",
      "BUN_OPTIONS=",
      "node_options=x",
      "LD_PRELOAD=x",
      "SSL_CERT_DIR=x",
      "aws_profile=x",
      "GOOGLE_APPLICATION_CREDENTIALS=x",
      "AZURE_X=x",
      "https_proxy=x",
      "ALL_PROXY=x",
      "NO_PROXY=",
      "PROXY=x",
      "NOTIFY_SOCKET=/x",
    ];
    expect(forbiddenNames(`${environ.join("\0")}\0`).length).toBe(11);
    expect(
      forbiddenNames("PATH=/bin\0NOTIFY_SOCKET=/x\0CREDENTIALS_DIRECTORY=/y\0INVOCATION_ID=1\0PROXYLESS=1\0"),
    ).toEqual([]);
  });
});

describe("the clock", () => {
  test("a jump of over a minute against the monotonic clock is told once, until both agree or the owner accepts it", () => {
    let wall = 1_000_000;
    let mono = 0;
    const watch = watchClock({ now: () => wall, monotonic: () => mono, sleep: () => Promise.resolve() });
    wall += 60_000;
    mono += 0;
    expect(watch.look()).toEqual({ agrees: true, jumped: 60, changed: false });
    wall += 1000;
    // A command that asks in between does not use up what is to be put on record.
    expect(watch.agrees()).toBe(false);
    expect(watch.look()).toEqual({ agrees: false, jumped: 61, changed: true });
    expect(watch.look().changed).toBe(false);
    wall -= 30_000;
    expect(watch.look()).toEqual({ agrees: true, jumped: 31, changed: true });
    wall -= 200_000;
    expect(watch.look().agrees).toBe(false);
    watch.accept();
    expect(watch.look().agrees).toBe(true);
  });
});

describe("words of others", () => {
  test("no control, format or bidi character reaches a terminal", () => {
    expect(printable("a\u001b[31mb\u202ec\u0000\n")).toBe("a\\u{1b}[31mb\\u{202e}c\\u{0}\\u{a}");
    expect(complaint("x", "y\u001b", "z")).toBe("error: Cannot x: y\\u{1b}.\nhint: z\n");
  });
});

describe("entries", () => {
  const command = (long: string, values: string[]): Command =>
    ({
      signed: { kid: "k".repeat(64), digest: `sha256:${"a".repeat(64)}`, text: "", payload: "" },
      asked: { action: "update-dns", args: { zone: "z", name: "n", type: "A", change: "create", values, ttl: 60 } },
      claims: { jti: "01936d00-0000-7000-8000-000000000001", by: long, why: long, exp: 1 },
    }) as unknown as Command;

  test("a refusal's entry stays under its limit whatever the vendor's words", () => {
    for (const long of ["x", "€".repeat(256), "😀".repeat(128)]) {
      const refusal = refuse("policy.values", "x", "€".repeat(512), "€".repeat(512), { found: "f".repeat(999) });
      const body = refusedBody(
        asking(
          command(
            long,
            Array.from({ length: 32 }, () => "v".repeat(255)),
          ),
        ),
        refusal,
        `sha256:${"b".repeat(64)}`,
        null,
      );
      expect(lineBytes(body) + 150).toBeLessThanOrEqual(MAX_REFUSAL_ENTRY_BYTES);
      expect(body).toMatchObject({ kind: "refused", code: "policy.values" });
    }
  });

  test.each([
    ["long texts", "x".repeat(100_000)],
    ["texts that are written longer than they are", "\u0001".repeat(100_000)],
    ["halves of characters", `${"x".repeat(4095)}😀\ud800`],
  ])("an outcome whose changes have %s fits its entry all the same", (_, long) => {
    const change = { what: long, from: long, to: long };
    const certificate = Array.from({ length: 4 }, () => "A".repeat(8192));
    const executed = { result: "unknown" as const, code: null, changed: [change, change], certificate, words: null };
    const body = outcomeBody("01936d00-0000-7000-8000-000000000001", 3, executed, "answer", [], null);
    expect(lineBytes(body)).toBeLessThan(64 * 1024 - 192);
    const added = { v: 1, index: 4, time: "2026-01-01T00:00:00.000Z", cluster: "c", epoch: 1 };
    expect(Entry.safeParse({ ...added, ...body }).error?.message).toBeUndefined();
    expect([body.certificate?.length, body.changed[0]?.what.slice(0, 256)]).toEqual([4, long.slice(0, 256)]);
  });

  test("an outcome with more operations than fit says how many are left out", () => {
    const operation = {
      operation: "local.process.start",
      resource: "g".repeat(900),
      request: null,
      status: "ok",
      milliseconds: 1,
      changes: true,
    };
    const executed = { result: "succeeded" as const, code: null, changed: [], certificate: null, words: null };
    const body = outcomeBody(
      "01936d00-0000-7000-8000-000000000001",
      3,
      executed,
      "answer",
      Array.from({ length: 400 }, () => operation),
      null,
    );
    expect(lineBytes(body)).toBeLessThan(64 * 1024);
    expect(body.operations.at(-1)?.operation).toBe("(more)");
    expect(body.operations.at(-1)?.resource).toContain(String(400 - body.operations.length + 1));
  });

  test("an outcome keeps its changes before its reads, the oldest and newest of both, in their order", () => {
    const executed = { result: "succeeded" as const, code: null, changed: [], certificate: null, words: null };
    const row = fc.record({ changes: fc.boolean(), size: fc.nat(900) });
    fc.assert(
      fc.property(fc.array(row, { maxLength: 700, size: "max" }), (rows) => {
        const operations = rows.map(({ changes, size }, nth) => ({
          operation: "local.process.start",
          resource: "g".repeat(size),
          request: `r-${nth}`,
          status: "ok",
          milliseconds: 1,
          changes,
        }));
        const id = "01936d00-0000-7000-8000-000000000001";
        const body = outcomeBody(id, 3, executed, "answer", operations, null);
        expect(lineBytes(body)).toBeLessThan(64 * 1024 - 192);
        const more = body.operations.at(-1)?.operation === "(more)" ? body.operations.at(-1) : undefined;
        const kept = more === undefined ? body.operations : body.operations.slice(0, -1);
        const numbers = kept.map(({ request }) => Number(request?.slice(2)));
        // Each as it was, once, in order; the others are counted.
        expect(kept).toEqual(numbers.flatMap((nth) => operations[nth] ?? []));
        expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
        const gone = operations.filter((_, nth) => !numbers.includes(nth));
        expect(more === undefined).toBe(gone.length === 0);
        if (more === undefined) return;
        expect(more.resource).toStartWith(`${gone.length} operations`);
        expect(more.changes).toBe(gone.some(({ changes }) => changes));
        const of = (some: readonly { changes: boolean }[], changes: boolean) =>
          some.filter((one) => one.changes === changes);
        if (of(gone, true).length > 0) expect(of(kept, false)).toEqual([]);
        for (const changes of [true, false]) {
          const [all, left] = [of(operations, changes), of(kept, changes)];
          const first = Math.ceil(left.length / 2);
          expect(left).toEqual([...all.slice(0, first), ...all.slice(all.length - (left.length - first))]);
        }
      }),
      { numRuns: 60, endOnFailure: true },
    );
  });
});
