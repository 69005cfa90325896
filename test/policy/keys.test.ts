import { afterAll, beforeAll, expect, test } from "bun:test";
import { generateKeyPairSync, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { verifierKey } from "../../agent/audit/note.ts";
import { isNoteKey, isSshKey, noteKeyOf, readSshKey } from "../../policy/keys.ts";
import { parsePolicy } from "../../policy/parse.ts";
import { isFido, KINDS, packed, type SshWorld, sshWorld, unpacked } from "../wire/sshWorld.ts";

const PLAIN = "ssh-ed25519";
const P256 = "ecdsa-sha2-nistp256";
const SK_PLAIN = "sk-ssh-ed25519@openssh.com";
const SK_P256 = "sk-ecdsa-sha2-nistp256@openssh.com";

let world: SshWorld;
beforeAll(() => {
  world = sshWorld();
});
afterAll(() => world.end());

const keyText = (type: string, ...fields: readonly (string | Uint8Array)[]): string =>
  `${type} ${packed(type, ...fields).toString("base64")}`;
const blobOf = (text: string): Buffer => Buffer.from(text.split(" ")[1] ?? "", "base64");
/** As a file of ssh-keygen's own: whether it can read the key. */
function sshKeygenReads(text: string): boolean {
  try {
    return world.run(["ssh-keygen", "-l", "-f", "-"], `${text}\n`).length > 0;
  } catch {
    return false;
  }
}

test.each(Object.entries(KINDS))("%s as ssh-keygen makes it is a policy's key", (type, kind) => {
  for (const { text } of [world.pair(...kind), world.pair(...kind)]) {
    const key = readSshKey(text);
    expect(key?.type).toBe(type);
    expect(key?.application?.toString() ?? null).toBe(isFido(type) ? "ssh:" : null);
    expect(key?.point).toEqual(unpacked(blobOf(text))[type.includes("ecdsa") ? 2 : 1] ?? Buffer.alloc(0));
    expect(sshKeygenReads(text)).toBe(true);
  }
});

test("RSA, certificates, comments, options and other spellings of a good key are none", () => {
  const { file, text } = world.pair("ed25519");
  const authority = world.pair("ed25519");
  world.run(["ssh-keygen", "-q", "-s", authority.file, "-I", "alice", "-n", "alice", `${file}.pub`]);
  const certificate = readFileSync(`${file}-cert.pub`, "utf8").split(" ").slice(0, 2).join(" ");
  const rsa = world.pair("rsa", "-b", "2048").text;
  const [type, base64] = text.split(" ");
  expect(isSshKey(text)).toBe(true);
  for (const other of [
    rsa,
    certificate,
    readFileSync(`${file}.pub`, "utf8"),
    `${text} alice`,
    `${text} `,
    `${text}\n`,
    ` ${text}`,
    `${type}  ${base64}`,
    `${type}\t${base64}`,
    `restrict ${text}`,
    text.replace(PLAIN, P256),
    text.replace(PLAIN, "ssh-Ed25519"),
    `${text}=`,
    `${text}====`,
    `${type} ${base64?.replaceAll("A", "-")}`,
    `${type} ${blobOf(text).toString("base64url")}_`,
    `${type} ${blobOf(text).subarray(0, 50).toString("base64")}`,
    `${type} ${Buffer.concat([blobOf(text), Buffer.alloc(1)]).toString("base64")}`,
    `${type} ${Buffer.concat([blobOf(text), Buffer.alloc(4)]).toString("base64")}`,
    base64 ?? "",
    type ?? "",
    "",
  ])
    expect([other, isSshKey(other)]).toEqual([other, false]);
});

const { x = "", y = "" } = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" });
const [X, Y] = [Buffer.from(x, "base64url"), Buffer.from(y, "base64url")];
const point = (first: number, ...parts: readonly Uint8Array[]): Buffer =>
  Buffer.concat([Buffer.from([first]), ...parts]);
const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const plusOne = (bytes: Buffer): Buffer =>
  Buffer.concat([bytes.subarray(0, -1), Buffer.from([((bytes.at(-1) ?? 0) + 1) & 255])]);
const POINTS: readonly [string, Buffer, boolean][] = [
  ["uncompressed", point(4, X, Y), true],
  ["compressed", point(2 + ((Y.at(-1) ?? 0) & 1), X), false],
  ["hybrid", point(6 + ((Y.at(-1) ?? 0) & 1), X, Y), false],
  ["off the curve", point(4, X, plusOne(Y)), false],
  ["at infinity", point(0), false],
  ["at infinity, at full length", Buffer.alloc(65), false],
  ["at 0, 0", point(4, Buffer.alloc(64)), false],
  ["beyond the field", point(4, Buffer.from(P.toString(16), "hex"), Y), false],
  ["with a byte more", point(4, X, Y, Buffer.alloc(1)), false],
  ["with a byte less", point(4, X, Y.subarray(1)), false],
  ["without bytes", Buffer.alloc(0), false],
];
test.each(POINTS)("an ECDSA point %s: what we and ssh-keygen say", (_, bytes, good) => {
  for (const text of [keyText(P256, "nistp256", bytes), keyText(SK_P256, "nistp256", bytes, "ssh:")]) {
    expect(isSshKey(text)).toBe(good);
    expect(sshKeygenReads(text)).toBe(good);
  }
});

test("a key's curve, and a FIDO key's application, are what its type says", () => {
  const good = point(4, X, Y);
  const ed25519 = Buffer.from(blobOf(world.pair("ed25519").text).subarray(-32));
  expect(isSshKey(keyText(SK_PLAIN, ed25519, "ssh:"))).toBe(true);
  for (const text of [
    keyText(P256, "nistp384", good),
    keyText("ecdsa-sha2-nistp384", "nistp256", good),
    keyText("ecdsa-sha2-nistp384", "nistp384", good),
    keyText("ecdsa-sha2-nistp521", "nistp521", good),
    keyText(P256, good),
    keyText(P256, "nistp256", good, "ssh:"),
    keyText(SK_P256, "nistp256", good),
    keyText(SK_P256, "nistp256", good, ""),
    keyText(SK_P256, "nistp256", good, "ssh:", ""),
    keyText(SK_PLAIN, ed25519),
    keyText(SK_PLAIN, ed25519, ""),
    keyText(SK_PLAIN, ed25519, "ssh:\0"),
    keyText(SK_PLAIN, ed25519, "ssh:", "x"),
    keyText(PLAIN, ed25519, "ssh:"),
    keyText(PLAIN, ed25519.subarray(1)),
    keyText("sk-ecdsa-sha2-nistp384@openssh.com", "nistp384", good, "ssh:"),
    keyText("toString", ed25519),
  ])
    expect([text, isSshKey(text)]).toEqual([text, false]);
});

const P25519 = 2n ** 255n - 19n;
const ORDER_8_Y = Buffer.from("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "hex");
function littleEndian(number: bigint): Buffer {
  return Buffer.from(number.toString(16).padStart(64, "0"), "hex").reverse();
}
const order8 = BigInt(`0x${Buffer.from(ORDER_8_Y).reverse().toString("hex")}`);
const SMALL = [0n, 1n, P25519 - 1n, order8, P25519 - order8].flatMap((height) => [height, height + 2n ** 255n]);

test.each(SMALL.map((height) => [littleEndian(height).toString("hex")]))(
  "the Ed25519 key %s, for which anyone can sign, is refused",
  (hex) => {
    // R is the neutral point and S is 0: good for the messages whose hash is a multiple of the point's order.
    const object = {
      key: { kty: "OKP", crv: "Ed25519", x: Buffer.from(hex, "hex").toString("base64url") },
      format: "jwk",
    };
    const forged = Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]);
    const messages = Array.from({ length: 400 }, (__, at) => Buffer.from(String(at)));
    const signed = messages.filter((message) => verify(null, message, object as never, forged)).length;
    expect(signed).toBeGreaterThan(0);
    expect(isSshKey(keyText(PLAIN, Buffer.from(hex, "hex")))).toBe(false);
    expect(isSshKey(keyText(SK_PLAIN, Buffer.from(hex, "hex"), "ssh:"))).toBe(false);
    const signer = verifierKey("vendor.example/release", Buffer.from(hex, "hex"));
    expect(isNoteKey(signer)).toBe(false);
    const parsed = parsePolicy(policyOf({}, { release: signer }));
    if ("policy" in parsed) throw new Error("a signer whom anyone can be was taken");
    expect(parsed.errors.map(({ message }) => message).join()).toContain("signers.release");
  },
);

test("an Ed25519 height at or over the field's prime is another spelling, and refused", () => {
  for (let over = 0n; over < 19n; over += 1n)
    for (const sign of [0n, 2n ** 255n])
      for (const key of [littleEndian(P25519 + over + sign)]) {
        expect(isSshKey(keyText(PLAIN, key))).toBe(false);
        expect(isNoteKey(verifierKey("vendor.example/release", key))).toBe(false);
      }
});

test("a note key that a generator made is a policy's signer, under its own 32 bytes", () => {
  for (let nth = 0; nth < 20; nth++) {
    const { x = "" } = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" });
    const signer = verifierKey("vendor.example/release", Buffer.from(x, "base64url"));
    const key = Buffer.from(noteKeyOf(signer) ?? "", "base64");
    expect([key[0], key.subarray(1).toString("base64url")]).toEqual([1, x]);
    expect(parsePolicy(policyOf({}, { release: signer }))).toHaveProperty("policy");
  }
});

function policyOf(
  people: Readonly<Record<string, string>>,
  signers: Readonly<Record<string, string>> = {},
): Uint8Array {
  const file = { version: 1, revision: 1, cluster: "c", vendor: "vendor.example", place: { cloud: "local" }, people };
  return Buffer.from(JSON.stringify({ ...file, signers, share: [], dry_run: "allowed", rules: [], tests: [] }));
}

test("two people cannot have one key, not even as a plain one and a FIDO one", () => {
  const [one, two] = [world.pair("ed25519"), world.pair("ed25519")];
  const asFido = keyText(SK_PLAIN, blobOf(one.text).subarray(-32), "ssh:");
  expect(isSshKey(asFido)).toBe(true);
  expect(parsePolicy(policyOf({ alice: one.text, bob: two.text }))).toHaveProperty("policy");
  const curve = [keyText(P256, "nistp256", point(4, X, Y)), keyText(SK_P256, "nistp256", point(4, X, Y), "ssh:")];
  for (const [alice = "", bob = ""] of [[one.text, one.text], [one.text, asFido], curve]) {
    const parsed = parsePolicy(policyOf({ alice, carol: two.text, bob }));
    if ("policy" in parsed) throw new Error("one key was taken for two people");
    expect(parsed.errors.map(({ message }) => message)).toEqual([
      "people.bob: bob has the same key as alice: two names with one key would count as two people",
    ]);
  }
});

test("no text makes the reading of a key throw", () => {
  const field = fc.oneof(fc.constantFrom("nistp256", "nistp521", "ssh:", ""), fc.uint8Array({ maxLength: 140 }));
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc
      .tuple(fc.constantFrom(...Object.keys(KINDS)), fc.array(field, { maxLength: 4 }))
      .map(([type, fields]) => keyText(type, ...fields)),
    fc
      .tuple(fc.constantFrom(...Object.keys(KINDS)), fc.uint8Array({ maxLength: 200 }))
      .map(([type, bytes]) => `${type} ${Buffer.from(bytes).toString("base64")}`),
  );
  fc.assert(
    fc.property(text, (given) => {
      const key = readSshKey(given);
      if (key !== null) expect(given).toStartWith(`${key.type} `);
    }),
    { numRuns: 2000 },
  );
});
