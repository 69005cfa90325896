import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import fc from "fast-check";
import { MAX_SSH_SIGNATURE_BYTES } from "../../agent/limits.ts";
import { readSshSignature, splitSshSignatures, verifySshSignature } from "../../agent/wire/sshsig.ts";
import {
  armored,
  dearmored,
  fingerprint,
  HEAD,
  isFido,
  KINDS,
  NAMESPACE,
  type Pair,
  packed,
  type SshWorld,
  sshWorld,
  unpacked,
} from "./sshWorld.ts";

const MESSAGE = "scale prod-eu-1-brokers to 8\n";
const BYTES = Buffer.from(MESSAGE);
const TYPES = Object.keys(KINDS);
/** Where the version's last byte stands: ssh-keygen takes 0 for 1. */
const VERSION_AT = HEAD.length - 1;

let world: SshWorld;
const pairs = new Map<string, Pair>();
const armors = new Map<string, string>();
beforeAll(() => {
  world = sshWorld();
  for (const [type, kind] of Object.entries(KINDS)) {
    pairs.set(type, world.pair(...kind));
    armors.set(type, world.sign(pairOf(type).file, BYTES));
  }
});
afterAll(() => world.end());

function pairOf(type: string): Pair {
  const pair = pairs.get(type);
  if (pair === undefined) throw new Error(`no key of ${type}`);
  return pair;
}
const armorOf = (type: string): string => armors.get(type) ?? "";
function onlyBlock(file: string): string {
  const split = splitSshSignatures(file, 1);
  if ("fault" in split) throw new Error(split.fault);
  expect(split.blocks).toHaveLength(1);
  return split.blocks[0] ?? "";
}
const verdict = (block: string, message: Uint8Array | string = BYTES, namespace = NAMESPACE) =>
  verifySshSignature(block, Buffer.from(message), namespace);
const says = (block: string): string => {
  const found = verdict(block);
  return "key" in found ? found.key : `${found.fault}: ${found.because}`;
};

describe.each(TYPES)("%s", (type) => {
  test("what ssh-keygen signs with a key in a file is verified, with either hash, and ssh-keygen takes the key that we name", () => {
    for (const [words, hash] of [
      [[], "sha512"],
      [["-O", "hashalg=sha256"], "sha256"],
      [["-O", "hashalg=sha512"], "sha512"],
    ] as const) {
      const armor = world.sign(pairOf(type).file, BYTES, words);
      const block = onlyBlock(armor);
      expect(`${block}\n`).toBe(armor);
      expect(readSshSignature(block)).toMatchObject({ key: pairOf(type).text, namespace: NAMESPACE, hash });
      const found = verdict(block);
      expect(found).toEqual({ key: pairOf(type).text });
      expect(world.isAlices("key" in found ? found.key : "", armor, MESSAGE)).toBe(true);
      expect(world.isAlices(pairOf(type).text, armor, `${MESSAGE} `)).toBe(false);
    }
  });

  test("another message, another namespace and another key's name are refused, each for its reason", () => {
    const block = onlyBlock(armorOf(type));
    expect(verdict(block, `${MESSAGE}\n`)).toMatchObject({ fault: "signature" });
    expect(verdict(block, "")).toMatchObject({ fault: "signature" });
    expect(verdict(block, BYTES, "git")).toEqual({
      fault: "namespace",
      because: `its namespace is ${NAMESPACE}, not git`,
    });
    expect(world.checked(armorOf(type), MESSAGE, "git")).toBeNull();
    const [, , ...rest] = unpacked(dearmored(block).subarray(HEAD.length));
    const other = world.pair(...(KINDS[type] ?? []));
    const blob = Buffer.from(other.text.split(" ")[1] ?? "", "base64");
    const swapped = armored(Buffer.concat([HEAD, packed(blob, NAMESPACE, ...rest)]));
    expect(verdict(swapped)).toMatchObject({ fault: "signature" });
    expect(world.checked(swapped, MESSAGE)).toBeNull();
  });

  test("each byte of a signature counts: flipped, ssh-keygen and we both refuse, or both name the same key", () => {
    const whole = dearmored(armorOf(type));
    const tally = { both_refuse: 0, both_take: 0, only_ssh_keygen_takes: 0 };
    for (const at of whole.keys()) {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      const found = verdict(armored(bytes));
      const theirs = world.checked(armored(bytes), MESSAGE);
      if ("key" in found) {
        expect([at, theirs]).toEqual([at, fingerprint(found.key)]);
        tally.both_take += 1;
      } else if (theirs === null) tally.both_refuse += 1;
      else {
        // Version 0, which nothing writes.
        expect([at, bytes[at]]).toEqual([VERSION_AT, 0]);
        tally.only_ssh_keygen_takes += 1;
      }
    }
    console.log(`${type}: ${whole.length} bytes flipped, one at a time: ${JSON.stringify(tally)}`);
    expect(tally).toEqual({ both_refuse: whole.length - 1, both_take: 0, only_ssh_keygen_takes: 1 });
    expect(whole.length).toBeGreaterThan(150);
  }, 120_000);
});

test("what a real ssh-agent signs is verified: every kind, when only the agent has the key", async () => {
  const socket = world.path("agent.sock");
  // -P: which middleware the agent may load; otherwise only what lies in /usr/lib.
  const words = ["-D", "-a", socket, "-P", `${world.folder}/*`];
  const agent: ChildProcess = spawn("ssh-agent", words, { stdio: "ignore" });
  try {
    for (let tries = 0; !existsSync(socket) && tries < 500; tries++) await Bun.sleep(10);
    const reach = { SSH_AUTH_SOCK: socket };
    for (const type of TYPES) {
      const { file, text } = world.pair(...(KINDS[type] ?? []));
      world.run(["ssh-add", "-q", ...(isFido(type) ? ["-S", world.middleware] : []), file], "", reach);
      rmSync(file);
      expect([type, verdict(onlyBlock(world.sign(`${file}.pub`, BYTES, [], reach)))]).toEqual([type, { key: text }]);
      expect(() => world.sign(`${file}.pub`, BYTES)).toThrow("No private key found");
    }
  } finally {
    agent.kill();
  }
});

test.each(TYPES.filter(isFido))(
  "a signature of %s that nobody touched the key for is refused; ssh-keygen takes it",
  (type) => {
    const { file } = world.pair(...(KINDS[type] ?? []), "-O", "no-touch-required");
    const armor = world.sign(file, BYTES);
    expect(world.checked(armor, MESSAGE)).not.toBeNull();
    const read = readSshSignature(onlyBlock(armor));
    expect("fault" in read ? read : read.device?.[0]).toBe(0);
    expect(says(onlyBlock(armor))).toBe(
      "signature: nobody touched the security key (its user-presence flag is not set)",
    );
    // The flags are signed: set afterwards, the signature is no longer one.
    const bytes = dearmored(armor);
    bytes[bytes.length - 5] = 1;
    expect(verdict(armored(bytes))).toMatchObject({
      fault: "signature",
      because: expect.stringContaining("did not sign"),
    });
  },
);

test.each(TYPES.filter(isFido))("the application of %s is part of the key and of what is signed", (type) => {
  const pair = world.pair(...(KINDS[type] ?? []), "-O", "application=ssh:reeve");
  const block = onlyBlock(world.sign(pair.file, BYTES));
  expect(verdict(block)).toEqual({ key: pair.text });
  const [blob, ...rest] = unpacked(dearmored(block).subarray(HEAD.length));
  const fields = unpacked(blob ?? Buffer.alloc(0));
  expect(fields.at(-1)?.toString()).toBe("ssh:reeve");
  const renamed = armored(Buffer.concat([HEAD, packed(packed(...fields.slice(0, -1), "ssh:"), ...rest)]));
  expect(verdict(renamed)).toMatchObject({ fault: "signature" });
  expect(world.checked(renamed, MESSAGE)).toBeNull();
});

/** A signature taken apart, and put together again with some parts changed. */
type Parts = {
  head: Buffer;
  type: string;
  /** The key's fields after its type. */
  key: Buffer[];
  namespace: string;
  reserved: string;
  hash: string;
  innerType: string;
  raw: Buffer;
  device: Buffer;
  after: string;
};
function apart(armor: string): Parts {
  const [blob, namespace, reserved, hash, inner] = unpacked(dearmored(armor).subarray(HEAD.length));
  if (!blob || !namespace || !reserved || !hash || !inner) throw new Error("not an SSH signature");
  const [type, ...key] = unpacked(blob);
  const device = isFido(String(type)) ? inner.subarray(-5) : Buffer.alloc(0);
  const [innerType, raw] = unpacked(inner.subarray(0, inner.length - device.length));
  if (!type || !innerType || !raw) throw new Error("not an SSH signature");
  const text = { type, namespace, reserved, hash, innerType };
  const words = Object.fromEntries(Object.entries(text).map(([name, bytes]) => [name, bytes.toString("latin1")]));
  return { head: HEAD, key, raw, device, after: "", ...(words as Record<keyof typeof text, string>) };
}
function together(parts: Parts): string {
  const inner = Buffer.concat([packed(parts.innerType, parts.raw), parts.device]);
  const fields = packed(packed(parts.type, ...parts.key), parts.namespace, parts.reserved, parts.hash, inner);
  return armored(Buffer.concat([parts.head, fields, Buffer.from(parts.after)]));
}
const headOf = (version: number): Buffer => Buffer.concat([HEAD.subarray(0, -1), Buffer.from([version])]);
/** Changes r and s, each without the zeros in front. */
function numbers(parts: Parts, change: (r: Buffer, s: Buffer) => readonly (string | Uint8Array)[]): Partial<Parts> {
  const [r, s] = unpacked(parts.raw).map((each) => (each[0] === 0 ? each.subarray(1) : each));
  return { raw: packed(...change(r ?? Buffer.alloc(0), s ?? Buffer.alloc(0))) };
}
const mpint = (digits: Uint8Array): Buffer =>
  Buffer.concat([Buffer.alloc((digits[0] ?? 0) >= 0x80 ? 1 : 0), Buffer.from(digits)]);
const compressed = (point: Buffer): Buffer =>
  Buffer.concat([Buffer.from([2 + ((point.at(-1) ?? 0) & 1)]), point.subarray(1, 33)]);

const PLAIN = "ssh-ed25519";
const P256 = "ecdsa-sha2-nistp256";
const SK = "sk-ssh-ed25519@openssh.com";
const ORDER_P256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
/** What was changed, of which kind, how, what we say, and whether ssh-keygen takes it: where it does, ours is narrower. */
const CHANGES: readonly [string, string, (parts: Parts) => Partial<Parts>, string, boolean][] = [
  ["nothing", PLAIN, () => ({}), "taken", true],
  ["version 0", PLAIN, () => ({ head: headOf(0) }), "version 1", true],
  ["version 2", PLAIN, () => ({ head: headOf(2) }), "version 1", false],
  ["another preamble", PLAIN, () => ({ head: Buffer.from("SSHSIH\0\0\0\x01") }), "version 1", false],
  ["a reserved field", PLAIN, () => ({ reserved: "x" }), "reserved", true],
  ["a byte after it", PLAIN, () => ({ after: "\0" }), "fields", false],
  ["a string after it", PLAIN, () => ({ after: "\0\0\0\0" }), "fields", false],
  ["no namespace", PLAIN, () => ({ namespace: "" }), "namespace is empty", false],
  ["a control character in the namespace", PLAIN, () => ({ namespace: "a\u001b[31m" }), "printable", false],
  ["another namespace", PLAIN, () => ({ namespace: "git" }), "not reeve-approval", false],
  ["NUL in the namespace", PLAIN, () => ({ namespace: `${NAMESPACE}\0` }), "printable", true],
  ["the other hash", PLAIN, () => ({ hash: "sha256" }), "did not sign", false],
  ["sha1", PLAIN, () => ({ hash: "sha1" }), "sha256 nor sha512", false],
  ["SHA512", PLAIN, () => ({ hash: "SHA512" }), "sha256 nor sha512", false],
  ["the FIDO kind's name in the signature", PLAIN, () => ({ innerType: SK }), "another kind", false],
  ["the plain kind's name in a FIDO signature", SK, () => ({ innerType: PLAIN }), "another kind", false],
  ["WebAuthn's name", TYPES[5] ?? "", () => ({ innerType: `webauthn-${TYPES[5]}` }), "another kind", false],
  ["another curve's name in the signature", P256, () => ({ innerType: "ecdsa-sha2-nistp384" }), "another kind", false],
  ["a FIDO key without flags", SK, () => ({ device: Buffer.alloc(0) }), "inner", false],
  ["flags on a plain key", PLAIN, () => ({ device: Buffer.from([1, 0, 0, 0, 0]) }), "inner", false],
  ["a string after the signature's numbers", PLAIN, () => ({ device: Buffer.alloc(4) }), "inner", false],
  ["another counter", SK, () => ({ device: Buffer.from([1, 1, 2, 3, 5]) }), "did not sign", false],
  ["63 bytes", PLAIN, ({ raw }) => ({ raw: raw.subarray(0, 63) }), "numbers", false],
  ["65 bytes", PLAIN, ({ raw }) => ({ raw: Buffer.concat([raw, Buffer.alloc(1)]) }), "numbers", false],
  ["no bytes", PLAIN, () => ({ raw: Buffer.alloc(0) }), "numbers", false],
  ["r and s at zero", P256, (parts) => numbers(parts, () => ["", ""]), "numbers", false],
  ["a zero byte as s", P256, (parts) => numbers(parts, (r) => [mpint(r), "\0"]), "numbers", false],
  [
    "s at the curve's order",
    P256,
    (parts) => numbers(parts, (r) => [mpint(r), mpint(toBytes(ORDER_P256))]),
    "did not sign",
    false,
  ],
  [
    "a zero in front",
    P256,
    (parts) => numbers(parts, (r, s) => [Buffer.concat([Buffer.alloc(2), r]), mpint(s)]),
    "numbers",
    true,
  ],
  ["a negative r", P256, (parts) => numbers(parts, (_, s) => [Buffer.alloc(32, 0xff), mpint(s)]), "numbers", false],
  ["33 bytes of r", P256, (parts) => numbers(parts, (_, s) => [Buffer.alloc(33, 1), mpint(s)]), "numbers", false],
  ["only r", P256, (parts) => numbers(parts, (r) => [mpint(r)]), "numbers", false],
  ["a third number", P256, (parts) => numbers(parts, (r, s) => [mpint(r), mpint(s), ""]), "numbers", false],
  // The twin signature of ECDSA: no other key, message or namespace, so it may stand.
  [
    "n - s for s",
    P256,
    (parts) => numbers(parts, (r, s) => [mpint(r), mpint(toBytes(ORDER_P256 - toNumber(s)))]),
    "taken",
    true,
  ],
  [
    "a compressed point",
    P256,
    ({ key }) => ({ key: [Buffer.from("nistp256"), compressed(key[1] ?? Buffer.alloc(0))] }),
    "its key",
    false,
  ],
  [
    "another curve's name in the key",
    P256,
    ({ key }) => ({ key: [Buffer.from("nistp384"), key[1] ?? Buffer.alloc(0)] }),
    "its key",
    false,
  ],
  ["a field more in the key", PLAIN, ({ key }) => ({ key: [...key, Buffer.from("ssh:")] }), "its key", false],
  ["no key", PLAIN, () => ({ type: "", key: [] }), "its key", false],
  ["DSA", PLAIN, () => ({ type: "ssh-dss" }), "ssh-dss, which is not taken", false],
];
const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
function toBytes(number: bigint): Buffer {
  const hex = number.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
}

test.each(CHANGES)("a signature with %s (%s): what we and ssh-keygen say", (_, type, change, ours, theirs) => {
  const parts = apart(armorOf(type));
  expect(together(parts)).toBe(onlyBlock(armorOf(type)));
  const block = together({ ...parts, ...change(parts) });
  if (ours === "taken") expect(says(block)).toBe(pairOf(type).text);
  else expect(says(block)).toContain(ours);
  expect(world.checked(block, MESSAGE) === null).toBe(!theirs);
});

test("RSA, and certificates of every kind, are refused with the reason, although ssh-keygen takes them", () => {
  const rsa = world.sign(world.pair("rsa", "-b", "2048").file, BYTES);
  expect(world.checked(rsa, MESSAGE)).not.toBeNull();
  expect(says(onlyBlock(rsa))).toBe("form: its key is of the kind ssh-rsa, which is not taken");
  const authority = world.pair("ed25519");
  for (const type of TYPES) {
    const { file } = world.pair(...(KINDS[type] ?? []));
    world.run(["ssh-keygen", "-q", "-s", authority.file, "-I", "alice", "-n", "alice", `${file}.pub`]);
    const armor = world.sign(`${file}-cert.pub`, BYTES);
    expect([type, world.checked(armor, MESSAGE)]).not.toEqual([type, null]);
    expect([type, says(onlyBlock(armor))]).toEqual([
      type,
      "form: it was made with a certificate: sign with the key alone",
    ]);
  }
});

test("a file holds signatures and empty lines, and nothing else", () => {
  const [one, two] = [armorOf(PLAIN), armorOf(P256)];
  const blocks = [onlyBlock(one), onlyBlock(two)];
  for (const text of [one + two, `${one}\n${two}\n\n`, `\n${blocks[0]}\n${blocks[1]}`])
    expect(splitSshSignatures(text, 2)).toEqual({ blocks });
  const crlf = one.replaceAll("\n", "\r\n");
  expect(splitSshSignatures(crlf, 1)).toEqual({ blocks: blocks.slice(0, 1) });
  const faults: readonly [string, RegExp][] = [
    ["", /holds no/],
    ["\n\r\n\n", /holds no/],
    [one + two + one, /over 2/],
    [`x\n${one}`, /line 1 /],
    [` ${one}`, /line 1 /],
    [`\ufeff${one}`, /line 1 /],
    [`${one}x`, /line 7 /],
    [`${one} \n`, /line 7 /],
    [`${one}x\n${two}`, /line 7 /],
    [`${blocks[0]} \n`, /line 6 /],
    [`${blocks[0]}${blocks[1]}`, /line 6 /],
    [`${one}-----END SSH SIGNATURE-----\n`, /line 7 /],
    [one.replace("\n", " \n"), /line 1 /],
    [one.replace("\n", "\n\n"), /line 2 /],
    [one.replace("\nU1NI", "\n U1NI"), /line 2 /],
    [one.replace("\nU1NI", "\nU1NI\t"), /line 2 /],
    [one.replace("\nU1NI", "\nVersion: 1\n\nU1NI"), /line 2 /],
    [one.replaceAll("\n", "\r"), /line 1 /],
    [one.replaceAll("SSH SIGNATURE", "PGP SIGNATURE"), /line 1 /],
    [one.replaceAll("SSH SIGNATURE", "ssh signature"), /line 1 /],
    [pairOf(PLAIN).text, /line 1 /],
    [readFileSync(pairOf(PLAIN).file, "utf8"), /line 1 /],
    [one.replace("-----BEGIN", "-----BEGIN SSH SIGNATURE-----\n-----BEGIN"), /line 2 /],
  ];
  for (const [text, fault] of faults)
    expect([text, splitSshSignatures(text, 2)]).toEqual([text, { fault: expect.stringMatching(fault) }]);
});

test("a file of 1 MiB is refused without being read through", () => {
  const limit = { fault: expect.stringContaining(`over ${4 * MAX_SSH_SIGNATURE_BYTES} bytes`) };
  for (const text of ["\n", "A", armorOf(PLAIN)])
    expect(splitSshSignatures(text.repeat((1024 * 1024) / text.length + 1), 4)).toEqual(limit);
  const long = armored(Buffer.concat([HEAD, Buffer.alloc(1024 * 1024)]));
  expect(says(long)).toBe(`form: it is over ${MAX_SSH_SIGNATURE_BYTES} bytes`);
});

test("a signature that was written only half is none, wherever it ends", () => {
  const whole = armorOf(PLAIN);
  const block = onlyBlock(whole);
  for (let end = 0; end < block.length; end++) {
    expect([end, splitSshSignatures(whole.slice(0, end), 1)]).toEqual([end, { fault: expect.any(String) }]);
    expect([end, readSshSignature(block.slice(0, end))]).toEqual([end, { fault: expect.any(String) }]);
  }
  // Nor does the one before it count: the file is not what somebody meant to write.
  for (let end = 1; end < block.length; end++)
    expect([end, splitSshSignatures(armorOf(P256) + whole.slice(0, end), 2)]).toEqual([
      end,
      { fault: expect.any(String) },
    ]);
  const bytes = dearmored(whole);
  for (let end = 0; end < bytes.length; end++)
    expect([end, verdict(armored(bytes.subarray(0, end)))]).toEqual([end, expect.objectContaining({ fault: "form" })]);
});

test("a block has one spelling: its own line ends and canonical base64", () => {
  const block = onlyBlock(armorOf(PLAIN));
  const { length } = dearmored(block);
  // One byte in the last group leaves four stray bits, which ssh-keygen refuses as well.
  expect(length % 3).toBe(1);
  const stray = block.replace(
    /([AQgw])==\n/,
    (_, last: string) => `${String.fromCharCode(last.charCodeAt(0) + 1)}==\n`,
  );
  expect(stray).not.toBe(block);
  expect(world.checked(stray, MESSAGE)).toBeNull();
  for (const [text, fault] of [
    [stray, "canonical"],
    [block.replace("==\n", "\n"), "canonical"],
    [block.replace("\nU1NI", "\nU1=NI"), "canonical"],
    [`${block}\n`, "not one armored"],
    [block.replaceAll("\n", "\r\n"), "not one armored"],
    [`\n${block}`, "not one armored"],
    [`${block}\n${block}`, "not one armored"],
    [block.replace("U1NI", "U1-I"), "not one armored"],
  ] as const)
    expect([text, says(text)]).toEqual([text, expect.stringContaining(fault)]);
});

const word = fc.oneof(
  fc.constantFrom(...TYPES, "ssh-rsa", "nistp256", "nistp521", "", NAMESPACE, "sha512", "sha256", "ssh:"),
  fc.uint8Array({ maxLength: 140 }),
);
const blob = fc.array(word, { maxLength: 5 }).map((words) => packed(...words));
const sshsig = fc
  .tuple(fc.array(fc.oneof(word, blob), { maxLength: 7 }), fc.uint8Array({ maxLength: 5 }))
  .map(([fields, after]) => Buffer.concat([HEAD, packed(...fields), after]));
const armor = fc.oneof(fc.uint8Array({ maxLength: 400 }), sshsig).map(armored);
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  armor,
  fc
    .array(fc.oneof(armor, fc.constantFrom("\n", "\r\n", "x", "-----BEGIN SSH SIGNATURE-----")), { maxLength: 5 })
    .map((all) => all.join("\n")),
);

test("nothing that is read throws, and nothing but a signature is one", () => {
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 4 }), (given, max) => {
      const split = splitSshSignatures(given, max);
      for (const block of "fault" in split ? [given] : split.blocks) {
        const read = readSshSignature(block);
        if (!("fault" in split)) expect(`\n${given.replaceAll("\r\n", "\n")}\n`).toContain(`\n${block}\n`);
        expect("fault" in read ? read.fault.length > 0 : TYPES.includes(read.signer.type)).toBe(true);
        expect(verdict(block)).toHaveProperty("fault");
      }
    }),
    { numRuns: 3000 },
  );
});

test("a real signature with bytes changed, put in or taken out anywhere is refused or names the same key", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...TYPES),
      fc.nat(2000),
      fc.nat(4),
      fc.uint8Array({ maxLength: 4 }),
      (type, where, out, put) => {
        const bytes = dearmored(armorOf(type));
        const at = where % bytes.length;
        const changed = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + out)]);
        if (changed.equals(bytes)) return;
        expect(verdict(armored(changed))).toHaveProperty("fault");
      },
    ),
    { numRuns: 2000 },
  );
});
