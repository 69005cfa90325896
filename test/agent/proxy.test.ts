import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Config } from "../../agent/config.ts";
import { egressOf } from "../../agent/egress.ts";
import { realNetwork } from "../../agent/host/network.ts";
import type { Egress } from "../../agent/host/proxy.ts";
import { realDisk } from "../../agent/host/real.ts";
import { MAX_PROXY_HEAD_BYTES } from "../../agent/limits.ts";

/** A proxy of one script. `heard`: what it was sent, a text a connection. */
const servers: Server[] = [];
const sockets = new Set<Socket>();
async function scripted(answer: (socket: Socket, head: string) => void): Promise<{ egress: Egress; heard: string[] }> {
  const heard: string[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    const at = heard.push("") - 1;
    socket.on("error", () => undefined);
    let answered = false;
    socket.on("data", (chunk) => {
      heard[at] += chunk.toString("latin1");
      if (answered || !(heard[at] ?? "").includes("\r\n\r\n")) return;
      answered = true;
      answer(socket, heard[at] ?? "");
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const place = { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
  return { egress: { proxy: { place, credentials: null }, direct: new Set() }, heard };
}
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
  sockets.clear();
  servers.length = 0;
});

const URL_ = "https://control.vendor.invalid:8443";
const WAIT = { timeoutSeconds: 1 };

describe("a proxy's answer to CONNECT", () => {
  const answers: [string, (socket: Socket) => void, string][] = [
    ["403", (socket) => socket.end("HTTP/1.1 403 Forbidden\r\n\r\nno"), "proxy: 403"],
    ["407", (socket) => socket.end("HTTP/1.0 407 Proxy Authentication Required\r\n\r\n"), "proxy: 407"],
    ["a redirect", (socket) => socket.end(`HTTP/1.1 302 Found\r\nLocation: ${URL_}\r\n\r\n`), "proxy: 302"],
    ["100 Continue", (socket) => socket.write("HTTP/1.1 100 Continue\r\n\r\n"), "proxy: 100"],
    ["no reason, as it may", (socket) => socket.end("HTTP/1.1 502\r\n\r\n"), "proxy: 502"],
    ["another protocol", (socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n"), "proxy: not HTTP"],
    ["another version of HTTP", (socket) => socket.write("HTTP/2 200\r\n\r\n"), "proxy: not HTTP"],
    ["a status that is none", (socket) => socket.write("HTTP/1.1 2000 OK\r\n\r\n"), "proxy: not HTTP"],
    ["nothing", () => undefined, "proxy: timeout"],
    ["half a head", (socket) => socket.write("HTTP/1.1 200 OK\r\nA: b\r\n"), "proxy: timeout"],
    ["its end", (socket) => socket.end(), "proxy: reset"],
    ["an endless head", (socket) => endless(socket), "proxy: endless head"],
    [
      "one endless line",
      (socket) => socket.write(`HTTP/1.1 200 ${"x".repeat(MAX_PROXY_HEAD_BYTES)}`),
      "proxy: endless head",
    ],
    ["bytes before TLS", (socket) => socket.write("HTTP/1.1 200 OK\r\n\r\n\x16"), "proxy: bytes before TLS"],
  ];
  for (const [what, answer, reason] of answers) {
    test(`${what}: no connection, and a short reason`, async () => {
      const { egress, heard } = await scripted(answer);
      const net = realNetwork(egress);
      expect(await net.shownChain(URL_, WAIT)).toEqual({ unreachable: reason });
      expect(await net.connect({ url: URL_, roots: [], client: null }, WAIT)).toEqual({ unreachable: reason });
      const asked = "CONNECT control.vendor.invalid:8443 HTTP/1.1\r\nHost: control.vendor.invalid:8443\r\n\r\n";
      expect(heard).toEqual([asked, asked]);
    });
  }

  test("bytes that come a little later, still before the server's own, end the handshake", async () => {
    const { egress } = await scripted((socket) => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      setTimeout(() => socket.write("HTTP/1.1 200 OK\r\n\r\n".repeat(8)), 20);
    });
    const shown = await realNetwork(egress).shownChain(URL_, WAIT);
    expect("unreachable" in shown && shown.unreachable).toStartWith("tls: ");
  });

  test("a tunnel in which nobody speaks ends with the wait, which is for all of it", async () => {
    const { egress } = await scripted((socket) => {
      setTimeout(() => socket.write("HTTP/1.1 200 OK\r\n\r\n"), 600);
    });
    const began = performance.now();
    expect(await realNetwork(egress).shownChain(URL_, WAIT)).toEqual({ unreachable: "timeout" });
    expect(performance.now() - began).toBeLessThan(1300);
  });

  test("an abort ends it, and is not told as the proxy's", async () => {
    const { egress } = await scripted(() => undefined);
    const abort = new AbortController();
    const shown = realNetwork(egress).shownChain(URL_, { timeoutSeconds: 10, signal: abort.signal });
    setTimeout(() => abort.abort(), 50);
    expect(await shown).toEqual({ unreachable: "aborted" });
  });

  test("a proxy that is not there is told as the proxy, not as the server", async () => {
    const egress = { proxy: { place: { host: "127.0.0.1", port: 9 }, credentials: null }, direct: new Set<string>() };
    expect(await realNetwork(egress).shownChain(URL_, WAIT)).toEqual({ unreachable: "proxy: refused" });
  });

  test("an endpoint that the config calls direct does not meet the proxy", async () => {
    const { egress, heard } = await scripted(() => undefined);
    const direct = { ...egress, direct: new Set(["127.0.0.1:9"]) };
    expect(await realNetwork(direct).shownChain("https://127.0.0.1:9", WAIT)).toEqual({ unreachable: "refused" });
    expect(heard).toEqual([]);
  });

  test("an address that is none is unreachable, and no crash", async () => {
    const { egress, heard } = await scripted(() => undefined);
    for (const url of ["https://x:99999", "https://[:::1", "http://x:1", "https://x:0", ""])
      expect(await realNetwork(egress).connect({ url, roots: [], client: null }, WAIT)).toEqual({
        unreachable: "address",
      });
    expect(heard).toEqual([]);
  });
});

function endless(socket: Socket): void {
  socket.write("HTTP/1.1 200 OK\r\n");
  const timer = setInterval(() => socket.write(`X-More: ${"y".repeat(512)}\r\n`), 1);
  socket.once("close", () => clearInterval(timer));
}

describe("the proxy's credentials", () => {
  const UID = process.getuid?.() ?? -1;
  function reader(content: string | Uint8Array, mode: number, change: (path: string) => void = () => undefined) {
    const folder = mkdtempSync(join(tmpdir(), "reeve-proxy-"));
    const path = join(folder, "credentials");
    writeFileSync(path, content);
    chmodSync(path, mode);
    change(path);
    const { egress } = Config.shape;
    const read = egressOf(
      realDisk,
      egress.parse({ proxy: { url: "http://p.example:3128", credentials_file: path } }),
      UID,
    );
    const got = read.proxy?.credentials?.();
    rmSync(folder, { recursive: true });
    return got;
  }
  test("are one line USER:PASSWORD, and the password may hold anything printable", () => {
    expect(reader("reeve:s:ä !\n", 0o600)).toEqual({ pair: "reeve:s:ä !" });
    expect(reader("reeve:", 0o400)).toEqual({ pair: "reeve:" });
  });
  test("are not taken when others can read them, or own them", () => {
    expect(reader("reeve:secret", 0o640)).toEqual({ unreachable: "proxy: credentials open to others" });
    expect(reader("reeve:secret", 0o604)).toEqual({ unreachable: "proxy: credentials open to others" });
    if (UID === 0)
      expect(reader("reeve:secret", 0o600, (path) => chownSync(path, 65534, 65534))).toEqual({
        unreachable: "proxy: credentials open to others",
      });
  });
  test("cannot bring a header of their own", () => {
    for (const bad of [
      "reeve:a\r\nX-Forwarded-For: b",
      "reeve:a\nb",
      "reeve",
      ":a",
      "",
      "a\0:b",
      new Uint8Array([0x61, 0x3a, 0xff]),
    ])
      expect(reader(bad, 0o600)).toEqual({ unreachable: "proxy: credentials not USER:PASSWORD" });
  });
  test("that are missing are said to be, and nothing is sent to the proxy", async () => {
    const { egress, heard } = await scripted(() => undefined);
    const place = egress.proxy?.place;
    if (place === undefined) throw new Error("no proxy");
    const missing = egressOf(
      realDisk,
      { proxy: { url: `http://127.0.0.1:${place.port}`, credentials_file: "/nowhere/credentials" }, endpoints: {} },
      UID,
    );
    expect(await realNetwork(missing).shownChain(URL_, WAIT)).toEqual({ unreachable: "proxy: credentials ENOENT" });
    expect(heard).toEqual([]);
  });
  test("go to the proxy as RFC 7617 says, and nowhere else", async () => {
    const { egress, heard } = await scripted((socket) => socket.end("HTTP/1.1 403 no\r\n\r\n"));
    const credentials = () => ({ pair: "Aladdin:open sesame" });
    const proxy = egress.proxy === null ? null : { ...egress.proxy, credentials };
    await realNetwork({ ...egress, proxy }).shownChain(URL_, WAIT);
    // The example of RFC 7617 section 2.
    expect(heard[0]).toContain("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
  });
});
