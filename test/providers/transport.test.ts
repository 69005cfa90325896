import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Dial, dialer } from "../../agent/host/dial.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import { NoAnswer, transport, type WireRequest } from "../../providers/transport.ts";
import { BAD, CUT, GOOD, MAX_BYTES } from "./answers.ts";
import { bare, buildGoServer, certificates, type GoServer, startGoServer, until } from "./counterpart.ts";

const folder = mkdtempSync(join(tmpdir(), "reeve-transport-"));
const made = (name: string): string => join(folder, name);
const ending: { end(): Promise<void> }[] = [];
let [plain, tls, six]: GoServer[] = [];
/** Servers that speak no newer TLS than this: their ports. */
const old: Record<string, number> = {};
beforeAll(async () => {
  certificates(folder, {
    localhost: "DNS:localhost",
    other: "DNS:other.example",
    address: "IP:127.0.0.1",
    six: "IP:::1",
  });
  const program = buildGoServer(folder);
  const start = async (address: string, name: string | null, newest = ""): Promise<GoServer> => {
    const words = name === null ? [] : [made(`${name}.pem`), made(`${name}.key`), newest];
    const server = await startGoServer(program, address, ...words);
    ending.push(server);
    return server;
  };
  plain = await start("127.0.0.1:0", null);
  tls = await start("127.0.0.1:0", "localhost");
  six = await start("[::1]:0", "six");
  for (const newest of ["1.1", "1.2"]) old[newest] = (await start("127.0.0.1:0", "localhost", newest)).port;
}, 300_000);
afterAll(async () => {
  for (const one of ending) await one.end();
  rmSync(folder, { recursive: true, force: true });
});

const dial = dialer(DIRECT);
/** As by the runtime's own roots, had it this one among them. */
const trusting: Dial = (to, wait) => dial({ ...to, roots: [readFileSync(made("ca.pem"), "utf8")] }, wait);
const PATIENT = { timeoutMs: 60_000, maxBytes: MAX_BYTES };
const HASTY = { timeoutMs: 300, maxBytes: MAX_BYTES };
const send = transport(trusting, PATIENT);
const nothing = (): void => undefined;

function request(port: number, more: Partial<WireRequest> = {}): WireRequest {
  return {
    ...{ protocol: "http:", hostname: "127.0.0.1", port, path: "/", method: "POST", headers: {} },
    ...{ body: new TextEncoder().encode("body"), ...more },
  };
}
async function lost(promise: Promise<unknown>): Promise<[string, boolean]> {
  const error = await promise.then(
    () => null,
    (caught: unknown) => caught,
  );
  if (!(error instanceof NoAnswer)) throw new Error(`not without an answer: ${String(error)}`);
  return [error.status, error.bytesLeft];
}
let marks = 0;
/** How many requests one of Go's servers has seen, once what it prints has come up to now. */
async function mark(server: GoServer | undefined, protocol: WireRequest["protocol"] = "https:"): Promise<number> {
  const path = `/plain/mark-${++marks}`;
  await send(request(server?.port ?? 0, { protocol, hostname: "localhost", path }), nothing);
  await until("the mark", () => server?.seen().at(-1)?.Path === path);
  return server?.seen().length ?? -1;
}
/** A server that says these bytes to whoever asked, and then ends, breaks or keeps the connection. */
async function says<T>(
  bytes: string,
  then: "ends" | "breaks" | "keeps",
  how: (port: number) => Promise<T>,
): Promise<T> {
  const server = await bare((socket: Socket) => {
    if (bytes !== "") socket.write(Buffer.from(bytes, "latin1"));
    if (then === "ends") socket.end();
    if (then === "breaks") socket.resetAndDestroy();
  });
  try {
    return await how(server.port);
  } finally {
    server.close();
  }
}

describe("an answer is whole or none, and then the call may have had its effect", () => {
  test.each(BAD.map((bad) => [bad.name, bad] as const))("%s, though the connection stays open", async (_, bad) => {
    const method = bad.method ?? "POST";
    expect(
      await says(bad.bytes, "keeps", (port) => lost(send(request(port, { method, body: null }), nothing))),
    ).toEqual([bad.status, true]);
  });

  test.each(Object.entries(CUT))("cut short: %s", async (_, bytes) => {
    expect(await says(bytes, "ends", (port) => lost(send(request(port), nothing)))).toEqual(["reset", true]);
  });

  test("broken, or never said", async () => {
    const half = "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nabc";
    expect(await says(half, "breaks", (port) => lost(send(request(port), nothing)))).toEqual(["reset", true]);
    // Long enough for a connection on a busy machine.
    const hasty = transport(dial, { ...HASTY, timeoutMs: 4000 });
    const late = ["", "HTTP/1.1 103 Early Hints\r\n\r\n", half].map((bytes) =>
      says(bytes, "keeps", (port) => lost(hasty(request(port), nothing))),
    );
    expect(await Promise.all(late)).toEqual(Array(3).fill(["timeout", true]));
  });

  test.each(GOOD.map((good) => [good.name, good] as const))(
    "whole: %s, though the connection stays open",
    async (_, good) => {
      const asked = { method: good.method ?? "POST", body: null };
      const answer = await says(good.bytes, "keeps", (port) => send(request(port, asked), nothing));
      expect([answer.status, Buffer.from(answer.body).toString("latin1")]).toEqual([good.status, good.body]);
    },
  );
});

describe("only what comes before the first byte is known to have had no effect", () => {
  test("a port where nobody listens, a name that is not there, an end before the request", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    await new Promise((resolve) => other.close(resolve));
    expect(await lost(send(request(port), nothing))).toEqual(["connection-refused", false]);
    expect(await lost(send(request(80, { hostname: "no.such.invalid" }), nothing))).toEqual(["dns", false]);
    const ended: Dial = async (to, wait) => {
      const socket = await dial(to, wait);
      if (!("unreachable" in socket)) socket.destroy();
      return socket;
    };
    const heard = await bare(nothing);
    expect(await lost(transport(ended, PATIENT)(request(heard.port), nothing))).toEqual(["reset", false]);
    expect(heard.heard.join("")).toBe("");
    heard.close();
  });

  test("a certificate for another name, of another issuer, or none at all; a connection that never gets that far", async () => {
    const to = (port: number, more: Partial<WireRequest>) =>
      request(port, { protocol: "https:", hostname: "localhost", ...more });
    const before = await mark(tls);
    expect(await lost(send(to(tls?.port ?? 0, { hostname: "127.0.0.1" }), nothing))).toEqual(["tls", false]);
    expect(await lost(transport(dial, PATIENT)(to(tls?.port ?? 0, {}), nothing))).toEqual(["tls", false]);
    expect(await lost(send(to(plain?.port ?? 0, {}), nothing))).toEqual(["tls-broken", false]);
    const silent = await bare(nothing);
    expect(await lost(transport(trusting, HASTY)(to(silent.port, {}), nothing))).toEqual(["timeout", false]);
    silent.close();
    expect(await mark(tls)).toBe(before + 1);
  });

  test.each(["connecting", "writing"] as const)(
    "what throws at %s is thrown as it is, and no byte of the request arrives",
    async (when) => {
      const moments: string[] = [];
      const before = (moment: string): void => {
        moments.push(moment);
        if (moment === when) throw new RangeError("no");
      };
      for (const protocol of ["http:", "https:"] as const) {
        const server = protocol === "http:" ? plain : tls;
        const seen = await mark(server, protocol);
        moments.length = 0;
        const asked = request(server?.port ?? 0, { protocol, hostname: "localhost" });
        const error = await send(asked, before).catch((caught: unknown) => caught);
        expect(error).toBeInstanceOf(RangeError);
        expect(moments).toEqual(when === "connecting" ? ["connecting"] : ["connecting", "writing"]);
        expect(await mark(server, protocol)).toBe(seen + 1);
      }
      const quiet = await bare(nothing);
      await send(request(quiet.port), before).catch(nothing);
      const opened = when === "connecting" ? 0 : 1;
      if (opened === 1) await until("the connection", () => quiet.heard.length === 1);
      expect(quiet.heard).toEqual(Array<string>(opened).fill(""));
      quiet.close();
    },
  );
});

describe("Go's net/http takes the request for what it is, and is understood", () => {
  const asked = async (path: string, more: Partial<WireRequest> = {}) =>
    send(request(tls?.port ?? 0, { protocol: "https:", hostname: "localhost", path, ...more }), nothing);

  test("each request comes on a connection of its own, which it says to end, under TLS 1.3 for the name", async () => {
    const first = await mark(tls);
    const headers = { "x-signed": "one two", host: `localhost:${tls?.port}` };
    for (const method of ["POST", "PUT", "PATCH", "DELETE", "GET"])
      await asked("/plain/a%20b?c=%2F&d", { method, headers, ...(method === "GET" ? { body: null } : {}) });
    await until("five requests", () => tls?.seen().length === first + 5);
    const seen = tls?.seen().slice(first) ?? [];
    expect(seen.map(({ Method, Body, Length }) => [Method, Body, Length])).toEqual([
      ["POST", "body", 4],
      ["PUT", "body", 4],
      ["PATCH", "body", 4],
      ["DELETE", "body", 4],
      ["GET", "", 0],
    ]);
    expect(new Set(seen.map(({ Remote }) => Remote)).size).toBe(5);
    for (const one of seen)
      expect(one).toMatchObject({
        ...{ Path: "/plain/a%20b?c=%2F&d", Host: `localhost:${tls?.port}`, Proto: "HTTP/1.1", Close: true },
        ...{ TLS: 0x0304, Name: "localhost", Protocol: "http/1.1" },
      });
    expect(seen[0]?.Header["X-Signed"]).toEqual(["one two"]);
  });

  test("a length, chunks with a trailer, interim answers, no body, an error, a redirect that nobody follows", async () => {
    const text = async (path: string, more: Partial<WireRequest> = {}) => {
      const { status, headers, body } = await asked(path, more);
      return [status, Buffer.from(body).toString(), headers["x-amzn-requestid"] ?? null];
    };
    const numbers = Array.from({ length: 50 }, (_, n) => `${n}\n`).join("");
    expect(await text("/plain")).toEqual([200, "abc", "r1"]);
    expect(await text("/plain", { method: "HEAD", body: null })).toEqual([200, "", "r1"]);
    expect(await text("/chunks")).toEqual([200, numbers, null]);
    expect(await text("/hints")).toEqual([200, "abc", null]);
    expect(await text("/nothing")).toEqual([204, "", null]);
    expect(await text("/error")).toEqual([503, "no\n", null]);
    const before = await mark(tls);
    expect(await text("/elsewhere")).toEqual([307, "", null]);
    expect(await mark(tls)).toBe(before + 2);
  });

  test("a large answer within the bound is whole, byte by byte; beyond it, it is none", async () => {
    const large = transport(trusting, { timeoutMs: 60_000, maxBytes: 1024 * 1024 });
    const to = request(tls?.port ?? 0, { protocol: "https:", hostname: "localhost", path: "/large" });
    expect((await large(to, nothing)).body).toEqual(new Uint8Array(1024 * 1024).fill(0x78));
    expect(await lost(asked("/large"))).toEqual(["answer-too-long", true]);
  });

  test("an answer that breaks off, one without a length, and one that never comes are none", async () => {
    expect(await lost(asked("/cut"))).toEqual(["reset", true]);
    expect(await lost(asked("/open"))).toEqual(["malformed", true]);
    const hasty = transport(trusting, { ...HASTY, timeoutMs: 4000 });
    const silent = request(tls?.port ?? 0, { protocol: "https:", hostname: "localhost", path: "/silent" });
    expect(await lost(hasty(silent, nothing))).toEqual(["timeout", true]);
  });

  test("an address is checked as an address: IPv4 and IPv6, with and without brackets", async () => {
    for (const hostname of ["::1", "[::1]"]) {
      const to = request(six?.port ?? 0, { protocol: "https:", hostname, path: "/plain" });
      expect((await send(to, nothing)).status).toBe(200);
    }
    expect(six?.seen()[0]).toMatchObject({ Host: `[::1]:${six?.port}`, Name: "" });
  });

  test("TLS below 1.2 is not spoken", async () => {
    const statuses: unknown[] = [];
    for (const [version, port] of Object.entries(old)) {
      const to = request(port, { protocol: "https:", hostname: "localhost", path: "/plain" });
      statuses.push([
        version,
        await send(to, nothing).then(
          ({ status }) => status,
          (error: NoAnswer) => error.status,
        ),
      ]);
    }
    expect(statuses).toEqual([
      ["1.1", "tls-broken"],
      ["1.2", 200],
    ]);
  });

  test("a variable that would switch the check of certificates off does not", async () => {
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    try {
      const to = request(tls?.port ?? 0, { protocol: "https:", hostname: "localhost" });
      expect(await lost(transport(dial, PATIENT)(to, nothing))).toEqual(["tls", false]);
      expect(await lost(send({ ...to, hostname: "127.0.0.1" }, nothing))).toEqual(["tls", false]);
    } finally {
      delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
    }
  });
});
