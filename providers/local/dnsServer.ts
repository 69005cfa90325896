import { connect } from "node:net";
import type { Host } from "../../agent/host/host.ts";
import type { LocalConfig } from "../../agent/providerConfig/local.ts";
import { CallFailed, type Errand, type Leave } from "../provider.ts";
import { place } from "./call.ts";
import { type Answer, BadAnswer, decode, encode, encodeName, type Message, type TsigKey } from "./dnsWire.ts";

export type ServerConfig = Extract<LocalConfig["zones"][string], { server: string }>;

const MAX_PORT = 65535;
const MAX_SECRET_BYTES = 1024;
const MIN_SECRET_BYTES = 16;
const MAX_DNS_ANSWER_BYTES = 16 * 1024;
/** For connecting, asking and the answer together. */
const DNS_TIMEOUT_MS = 5000;

/** The zone's TSIG key. Its file: 0600 or stricter, base64. Throws CallFailed and DiskError. */
function readKey(host: Host, config: ServerConfig): TsigKey {
  const { bytes, stat } = host.disk.read(config.tsig.secret_file, MAX_SECRET_BYTES);
  if ((stat.mode & 0o077) !== 0)
    throw new CallFailed("key-permission", "the TSIG secret may be read by others: chmod 600 it", "none");
  const text = new TextDecoder().decode(bytes).trim();
  const secret = Buffer.from(text, "base64");
  if (secret.toString("base64") !== text || secret.length < MIN_SECRET_BYTES)
    throw new CallFailed(
      "key-unreadable",
      `the TSIG secret is not base64 of ${MIN_SECRET_BYTES} bytes or more`,
      "none",
    );
  const name = config.tsig.name.replace(/\.$/, "").toLowerCase();
  try {
    encodeName(name);
  } catch (error) {
    if (error instanceof RangeError)
      throw new CallFailed("key-unreadable", `the TSIG key's name: ${error.message}`, "none");
    throw error;
  }
  return { name, algorithm: config.tsig.algorithm, secret };
}

/**
 * One signed message to the zone's server over TCP, and its verified answer. `leave` is called before the connection is opened, and on it
 * before the first byte.
 * Throws CallFailed: without effect when nothing was sent; for an update whose answer is not surely the server's, `unknown`.
 */
export async function exchange(
  host: Host,
  config: ServerConfig,
  what: Omit<Message, "id">,
  leave: Leave,
  errand: Errand,
): Promise<Answer> {
  const key = readKey(host, config);
  const now = () => Math.floor(host.clock.now() / 1000);
  const message: Message = { ...what, id: Buffer.from(host.random.bytes(2)).readUInt16BE() };
  const request = encode(message, key, now());
  const to = addressOf(config.server);
  const there = place(to.name, message.update ? "UPDATE" : "QUERY");
  leave(there, "connecting");
  const writing = (): void => leave(there, "writing");
  const bytes = await send(to, request.bytes, message.update ? "unknown" : "none", errand, writing);
  try {
    return decode(bytes, message, request, key, now());
  } catch (error) {
    if (error instanceof BadAnswer)
      throw new CallFailed(
        error.code,
        "the answer is not surely the name server's",
        message.update ? "unknown" : "none",
      );
    throw error;
  }
}

function addressOf(server: string): { host: string; port: number; name: string } {
  const colon = server.lastIndexOf(":");
  const [shown, port] = [server.slice(0, colon), Number(server.slice(colon + 1))];
  if (!(port >= 1 && port <= MAX_PORT)) throw new CallFailed("server-address", `${server} has no port`, "none");
  return { host: shown.replace(/^\[(.*)\]$/, "$1"), port, name: `${shown}:${port}` };
}

function send(
  to: { host: string; port: number },
  bytes: Uint8Array,
  sentEffect: "none" | "unknown",
  errand: Errand,
  writing: () => void,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: to.host, port: to.port });
    let effect: "none" | "unknown" = "none";
    let received = Buffer.alloc(0);
    const end = (then: () => void): void => {
      clearTimeout(timer);
      errand.signal.removeEventListener("abort", aborted);
      socket.destroy();
      then();
    };
    const fail = (status: string, words: string): void => end(() => reject(new CallFailed(status, words, effect)));
    const aborted = (): void => fail("deadline", "the command's deadline passed");
    const timer = setTimeout(() => fail("timeout", `no answer within ${DNS_TIMEOUT_MS} ms`), DNS_TIMEOUT_MS);
    errand.signal.addEventListener("abort", aborted);
    if (errand.signal.aborted) return aborted();
    socket.on("error", (error) => fail("code" in error ? String(error.code) : "unreachable", error.message));
    socket.on("close", () => fail("dns-truncated", "the connection ended before the answer did"));
    socket.on("connect", () => {
      try {
        writing();
      } catch (error) {
        return end(() => reject(error));
      }
      effect = sentEffect;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(bytes.length);
      socket.write(Buffer.concat([length, bytes]));
    });
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2) return;
      const length = received.readUInt16BE(0);
      if (length > MAX_DNS_ANSWER_BYTES) fail("dns-too-long", `an answer has at most ${MAX_DNS_ANSWER_BYTES} bytes`);
      else if (received.length > length + 2) fail("dns-malformed", "there are bytes after the answer");
      else if (received.length === length + 2) end(() => resolve(received.subarray(2)));
    });
  });
}
