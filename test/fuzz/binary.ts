import "reflect-metadata";
import { createHmac } from "node:crypto";
import { X509Certificate as Certificate } from "@peculiar/x509";
import { rootOfChain } from "../../agent/audit/chain.ts";
import { csrFromPem, readCsr } from "../../agent/wire/csr.ts";
import { readSshSignature, splitSshSignatures, verifySshSignature } from "../../agent/wire/sshsig.ts";
import { checkChain } from "../../agent/wire/x509.ts";
import { readSshKey } from "../../policy/keys.ts";
import { Malformed } from "../../providers/answerHead.ts";
import { answerReader, TooLong } from "../../providers/answerReader.ts";
import {
  BadAnswer,
  decode,
  decodeValue,
  encode,
  encodeValue,
  type Message,
  type TsigKey,
  TYPES,
} from "../../providers/local/dnsWire.ts";
import { mutateBytes, mutateDer } from "./mutate.ts";
import { bytesOf, must, type Parser, textOf } from "./parser.ts";
import { type Random, randomOf } from "./random.ts";
import { SAMPLES } from "./samples.ts";

/** Requests, certificates, SSH signatures, DNS messages and HTTP answers. */
const NOW = Date.UTC(2026, 10, 29, 4);

function derOrBytes(random: Random, sample: Uint8Array): Uint8Array {
  return random.chance(3) ? mutateBytes(random, sample, SAMPLES.csrs, 20_000) : mutateDer(random, sample);
}

async function csr(input: Uint8Array): Promise<string> {
  const facts = await readCsr(input);
  csrFromPem(textOf(input));
  if (facts === null) return "unreadable";
  must(
    facts.sans.every(({ type, value }) => typeof type === "string" && typeof value === "string"),
    "a name of no text",
  );
  return facts.signatureValid ? "taken" : "a wrong signature";
}

async function certificate(input: Uint8Array): Promise<string> {
  const checked = checkChain([input, SAMPLES.root], [SAMPLES.root], NOW);
  if ("leaf" in checked)
    must(Buffer.compare(input, SAMPLES.chain[0] ?? input) === 0, "another certificate than was signed is taken");
  try {
    const root = new Certificate(new Uint8Array(SAMPLES.root));
    const vouched = await rootOfChain([new Certificate(new Uint8Array(input))], [root], NOW);
    must(vouched === null || "leaf" in checked, "the log's checker takes what the wire's refuses");
  } catch (error) {
    // What the library cannot read is left out before the log's checker sees it.
    must(!(error instanceof RangeError && /stack/i.test(error.message)), "a certificate that overflows the stack");
    must("bad" in checked, "a certificate that only one library reads is taken");
  }
  return "bad" in checked ? "refused" : "taken";
}

function ssh(input: Uint8Array): string {
  const text = textOf(input);
  const split = splitSshSignatures(text, 16);
  const message = bytesOf("reeve approval\n");
  const read = readSshSignature(text.trimEnd());
  const verified = verifySshSignature(text.trimEnd(), message, "reeve-approval");
  readSshKey(text.trimEnd());
  if ("fault" in read) {
    must("fault" in verified, "verified, and cannot be read");
    return "fault" in split ? "refused" : "of armor only";
  }
  must(readSshKey(read.key) !== null, "a key that is no key");
  return "fault" in verified ? "read" : "taken";
}

const KEY: TsigKey = { name: "k", algorithm: "hmac-sha256", secret: Buffer.alloc(32, 7) };
const QUESTION: Message = {
  id: 0x1234,
  update: false,
  question: { name: "a.example", type: TYPES.A },
  prerequisites: [],
  changes: [],
};
const AT = 1_700_000_000;
const REQUEST = encode(QUESTION, KEY, AT);
const QUESTION_BYTES = REQUEST.bytes.subarray(12, 27);
const TSIG_NAME = Buffer.from("0b686d61632d73686132353600", "hex");

/** An answer as a server would sign it (RFC 8945 section 4.3). `before`: all of it but the TSIG record, which is not counted. */
function signedAnswer(before: Uint8Array): Uint8Array {
  const time = Buffer.from("00006553f100012c", "hex");
  const length = Buffer.of(REQUEST.mac.length >> 8, REQUEST.mac.length & 255);
  const variables = Buffer.concat([Buffer.from("016b0000ff00000000", "hex"), TSIG_NAME, time, Buffer.alloc(4)]);
  const mac = createHmac("sha256", KEY.secret)
    .update(Buffer.concat([length, REQUEST.mac, before, variables]))
    .digest();
  const data = Buffer.concat([TSIG_NAME, time, Buffer.of(0, mac.length), mac, Buffer.from("123400000000", "hex")]);
  const record = Buffer.concat([Buffer.from("016b0000fa00ff00000000", "hex"), Buffer.of(0, data.length), data]);
  const counted = Buffer.concat([before, record]);
  if (counted.length > 12) counted.writeUInt16BE((counted.readUInt16BE(10) + 1) & 0xffff, 10);
  return counted;
}
function unsignedAnswer(...records: readonly string[]): Buffer {
  const head = Buffer.from(`12348400000100${records.length.toString(16).padStart(2, "0")}00000000`, "hex");
  return Buffer.concat([head, QUESTION_BYTES, ...records.map((hex) => Buffer.from(hex, "hex"))]);
}
const UNSIGNED = [
  unsignedAnswer(),
  unsignedAnswer("c00c000100010000003c00040a000001", "c00c000100010000003c00040a000002"),
  unsignedAnswer("c00c000500010000003c00040162c00e"),
  unsignedAnswer("c00c001000010000003c000403616263", "c00c001c00010000003c001020010db8000000000000000000000001"),
];
const DNS = [...UNSIGNED.map(signedAnswer), new Uint8Array(REQUEST.bytes)];

/** What is before the signature is changed and signed again, so that a reader that first verifies is reached as well. */
function dnsBytes(random: Random, sample: Uint8Array): Uint8Array {
  return random.chance(3)
    ? mutateBytes(random, sample, DNS, 70_000)
    : signedAnswer(mutateBytes(random, random.pick(UNSIGNED), UNSIGNED, 4000));
}

const VALUES = ["A", "AAAA", "CNAME", "TXT"] as const;

function dns(input: Uint8Array): string {
  for (const type of VALUES) value(type, input);
  try {
    decode(input, QUESTION, REQUEST, KEY, AT);
    return "taken";
  } catch (error) {
    if (!(error instanceof BadAnswer)) throw error;
    return error.code;
  }
}
function value(type: (typeof VALUES)[number], data: Uint8Array): void {
  try {
    const text = decodeValue(type, data);
    if (type === "A" || type === "AAAA")
      must(encodeValue(type, text).equals(data), `a value of ${type} that is written otherwise than it was read`);
  } catch (error) {
    if (!(error instanceof BadAnswer)) throw error;
  }
}

const ANSWERS = [
  "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: b\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nt: u\r\n\r\n",
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
].map(bytesOf);

/** Cut into pieces an answer is read as in one: at places that its own bytes choose, so that a run can be said again. */
function http(input: Uint8Array): string {
  const whole = readAnswer([input]);
  const random = randomOf(input.length * 31 + (input[0] ?? 0));
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < input.length; ) {
    const end = at + 1 + random.below(random.chance(2) ? 3 : 64);
    pieces.push(input.subarray(at, end));
    at = end;
  }
  const { said, used } = readAnswer(pieces);
  // In pieces an answer is whole before the bytes that are too many have come.
  const same = used === pieces.length ? whole.said : readAnswer([Buffer.concat(pieces.slice(0, used))]).said;
  must(said === same, "an answer that is read otherwise in pieces");
  return whole.said.startsWith("{") ? "taken" : whole.said;
}
function readAnswer(pieces: readonly Uint8Array[]): { readonly said: string; readonly used: number } {
  const reader = answerReader("GET", 4096);
  let used = 0;
  try {
    for (const piece of pieces) {
      used += 1;
      const answer = reader.push(piece);
      if (answer !== null)
        return { said: JSON.stringify({ ...answer, body: Buffer.from(answer.body).toString("hex") }), used };
    }
    return { said: "not whole", used };
  } catch (error) {
    if (error instanceof Malformed) return { said: "malformed", used };
    if (error instanceof TooLong) return { said: "too long", used };
    throw error;
  }
}

export const BINARY: readonly Parser[] = [
  { name: "csr", maxBytes: 20_000, corpus: SAMPLES.csrs, mutate: derOrBytes, hold: csr },
  { name: "certificate", maxBytes: 20_000, corpus: SAMPLES.chain, mutate: derOrBytes, hold: certificate },
  { name: "ssh-signature", maxBytes: 140_000, corpus: SAMPLES.sshsigs.map(bytesOf), mutate: sshBytes, hold: ssh },
  { name: "dns", maxBytes: 70_000, corpus: DNS, mutate: dnsBytes, hold: dns },
  { name: "http-answer", maxBytes: 80_000, corpus: ANSWERS, hold: http },
];

/** The bytes inside of the armor, then the armor around them again. */
function sshBytes(random: Random, sample: Uint8Array): Uint8Array {
  const text = textOf(sample);
  if (random.chance(3)) return mutateBytes(random, sample, [], 140_000);
  const [begin = "", ...lines] = text.trimEnd().split("\n");
  const end = lines.pop() ?? "";
  const inside = mutateBytes(random, Buffer.from(lines.join(""), "base64"), [], 6000);
  const wrapped =
    Buffer.from(inside)
      .toString("base64")
      .match(/.{1,70}/g) ?? [];
  return bytesOf(`${[begin, ...wrapped, end].join("\n")}\n`);
}
