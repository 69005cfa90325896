import { expect, test } from "bun:test";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import {
  checkpointText,
  ed25519Private,
  ed25519Public,
  parseCheckpoint,
  parseNote,
  signatureLine,
  signLogKeyBinding,
  signNote,
  verifierKey,
  verifyLogKeyBinding,
  verifyNote,
} from "../../agent/audit/note.ts";

/** From c2sp.org/signed-note, "Example". */
const VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const TEXT = "This is an example message.\n";
const NOTE = `${TEXT}\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n`;
const EXAMPLE_KEY = Buffer.from("AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "base64").subarray(1);
const seed = Buffer.alloc(32, 7);
const key = ed25519Private(seed);
const checkpoint = {
  origin: "spiffe://v.example/cluster/c/agent/epoch/1",
  size: 3,
  root: Buffer.alloc(32, 1),
  time: 5,
};

test("the example of C2SP signed-note verifies, and its verifier key comes out the same", () => {
  expect(verifyNote(NOTE, "example.com/foo", EXAMPLE_KEY)).toBe(TEXT);
  expect(verifierKey("example.com/foo", EXAMPLE_KEY)).toBe(VKEY);
});

test("a note with any byte changed does not verify", () => {
  const bytes = Buffer.from(NOTE, "utf8");
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(verifyNote(changed.toString("utf8"), "example.com/foo", EXAMPLE_KEY)).toBeNull();
  }
});

test("a note is not verified under another name, by another key, or when our key also signed something else", () => {
  const other = ed25519Public(ed25519Private(Buffer.alloc(32, 8)));
  const note = signNote(TEXT, "a/b", key);
  expect(verifyNote(note, "a/b", ed25519Public(key))).toBe(TEXT);
  expect(verifyNote(note, "a/c", ed25519Public(key))).toBeNull();
  expect(verifyNote(note, "a/b", other)).toBeNull();
  const elsewhere = signNote("other\n", "a/b", key).split("\n\n")[1] ?? "";
  expect(verifyNote(note + elsewhere, "a/b", ed25519Public(key))).toBeNull();
});

test("a cosignature is one more line, and the log's own signature still holds", () => {
  const note = signNote(checkpointText(checkpoint), checkpoint.origin, key);
  const cosigned = note + signatureLine("witness.example/w1", Buffer.of(1, 2, 3, 4), Buffer.alloc(72, 9));
  expect(parseNote(cosigned)?.signatures.length).toBe(2);
  expect(verifyNote(cosigned, checkpoint.origin, ed25519Public(key))).toBe(checkpointText(checkpoint));
  expect(parseCheckpoint(cosigned)).toEqual(checkpoint);
});

test("what is not a checkpoint is not read as one", () => {
  const text = checkpointText(checkpoint);
  for (const bad of [
    TEXT,
    text.replace("\n3\n", "\n03\n"),
    text.replace("\n3\n", "\n-3\n"),
    text.replace("\n3\n", "\n9007199254740993\n"),
    text.replace("AQEB", "AQ"),
    `${text}more\n`,
    text.replace(/time.*\n/, ""),
    text.replace("1970-01", "1970-19"),
  ])
    expect(parseCheckpoint(signNote(bad, "a/b", key))).toBeNull();
  expect(() => signNote("no newline", "a/b", key)).toThrow();
  expect(() => signNote(TEXT, "a b", key)).toThrow();
  expect(() => signNote(TEXT, "a+b", key)).toThrow();
});

test("the certificate's key binds the log's key to its origin and its first index, and to nothing else", async () => {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = pair.publicKey.export({ format: "der", type: "spki" });
  const signature = signLogKeyBinding("o", "k", 0, pair.privateKey);
  expect(verifyLogKeyBinding(spki, "o", "k", 0, signature)).toBe(true);
  expect(verifyLogKeyBinding(spki, "p", "k", 0, signature)).toBe(false);
  expect(verifyLogKeyBinding(spki, "o", "l", 0, signature)).toBe(false);
  expect(verifyLogKeyBinding(spki, "o", "k", 1, signature)).toBe(false);
  expect(verifyLogKeyBinding(spki, "o", "k", 0, `${signature}=`)).toBe(false);
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
  expect(verifyLogKeyBinding(p384.publicKey.export({ format: "der", type: "spki" }), "o", "k", 0, signature)).toBe(
    false,
  );
  const web = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", web.privateKey));
  const byWeb = signLogKeyBinding("o", "k", 0, createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }));
  const webSpki = Buffer.from(await crypto.subtle.exportKey("spki", web.publicKey));
  expect(verifyLogKeyBinding(webSpki, "o", "k", 0, byWeb)).toBe(true);
});
