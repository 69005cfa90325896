import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type AddressInfo, createServer, type Server } from "node:net";
import { dialer } from "../../agent/host/dial.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import { NoAnswer, transport, type WireRequest } from "../../providers/transport.ts";

let answer: string | null = "";
let server: Server;
beforeAll(async () => {
  server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      if (answer === null) return;
      socket.write(answer);
      setTimeout(() => socket.end(), 20);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  server.close();
});

const send = transport(dialer(DIRECT), { timeoutMs: 500, maxBytes: 100 });
const request = (port: number): WireRequest => ({
  ...{ protocol: "http:", hostname: "127.0.0.1", port, path: "/", method: "POST" },
  ...{ headers: {}, body: new Uint8Array([120]) },
});
const port = () => (server.address() as AddressInfo).port;

async function lost(text: string | null): Promise<[string, boolean]> {
  answer = text;
  const error = await send(request(port()), () => undefined).then(
    () => null,
    (caught: unknown) => caught,
  );
  if (!(error instanceof NoAnswer)) throw new Error(`an answer: ${String(error)}`);
  return [error.status, error.bytesLeft];
}

describe("an answer is whole or none, and then the call may have had its effect", () => {
  test.each([
    ["shorter than it says", "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nabc", "reset"],
    ["of chunks without the last", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", "reset"],
    ["longer than is read", `HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n${"a".repeat(200)}`, "answer-too-long"],
    ["no HTTP", "SSH-2.0-x\r\n\r\n", "malformed"],
    ["empty", "", "reset"],
    ["late", null, "timeout"],
  ])("%s", async (_, text, status) => {
    expect(await lost(text)).toEqual([status, true]);
  });

  test("a whole one is given with its headers in lower case", async () => {
    answer = "HTTP/1.1 200 OK\r\nX-Amzn-RequestId: r1\r\ncontent-length: 3\r\n\r\nabc";
    const { status, headers, body } = await send(request(port()), () => undefined);
    expect([status, headers["x-amzn-requestid"], new TextDecoder().decode(body)]).toEqual([200, "r1", "abc"]);
  });
});

describe("only what surely comes before the first byte is known to have had no effect", () => {
  test("a port where nobody listens, a name that is not there", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const closed = (other.address() as AddressInfo).port;
    await new Promise((resolve) => other.close(resolve));
    const nobody = send(request(closed), () => undefined);
    expect(await nobody.catch((error: NoAnswer) => [error.status, error.bytesLeft])).toEqual([
      "connection-refused",
      false,
    ]);
    const nowhere = send({ ...request(80), hostname: "no.such.invalid" }, () => undefined);
    expect(await nowhere.catch((error: NoAnswer) => [error.status, error.bytesLeft])).toEqual(["dns", false]);
  });

  test("what is asked last can still refuse, and nothing is sent", async () => {
    let heard = 0;
    const listens = createServer(() => {
      heard++;
    });
    await new Promise<void>((resolve) => listens.listen(0, "127.0.0.1", resolve));
    const refused = send(request((listens.address() as AddressInfo).port), () => {
      throw new RangeError("no");
    });
    expect(await refused.catch((error: unknown) => error)).toBeInstanceOf(RangeError);
    await Bun.sleep(50);
    expect(heard).toBe(0);
    listens.close();
  });
});
