import { expect, test } from "bun:test";
import { cosign, cosignedAt, cosignerText, parseCosigner, withLines } from "../../agent/audit/cosignature.ts";
import { checkpointText, ed25519Private, ed25519Public, signNote, verifierKey } from "../../agent/audit/note.ts";

/** c2sp.org/tlog-cosignature. torchwood and transparency-dev's formats read the same lines in test/witness. */
const log = ed25519Private(Buffer.alloc(32, 1));
const key = ed25519Private(Buffer.alloc(32, 2));
const by = { name: "witness.example/w1", publicKey: ed25519Public(key) };
const text = checkpointText({ origin: "log.example", size: 7, root: Buffer.alloc(32, 9), time: 1_795_000_000_000 });
const head = signNote(text, "log.example", log);
const SECONDS = 1_795_000_001;
const line = cosign(text, by.name, key, SECONDS);

test("a cosignature says when, and leaves the log's own signature as it was", () => {
  expect(cosignedAt(`${head}${line}`, by)).toBe(SECONDS);
  expect(cosignedAt(`${head}${line}${cosign(text, by.name, key, SECONDS + 5)}`, by)).toBe(SECONDS + 5);
  expect(withLines(`${head}${line}`, (name) => name === "log.example")).toBe(head);
  expect(withLines(head, (name) => name === by.name)).toBeNull();
});

test("nobody else's line counts, and a bad line of a known key spoils the note", () => {
  const other = ed25519Private(Buffer.alloc(32, 3));
  const [mark, name, base64 = ""] = line.trim().split(" ");
  const bytes = Buffer.from(base64, "base64");
  const changed = (at: number): string => {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] ?? 0) ^ 1;
    return `${mark} ${name} ${copy.toString("base64")}\n`;
  };
  expect(cosignedAt(head, by)).toBeNull();
  expect(cosignedAt(`${head}${cosign(text, by.name, other, SECONDS)}`, by)).toBeNull();
  expect(cosignedAt(`${head}${cosign(text, "witness.example/w2", key, SECONDS)}`, by)).toBeNull();
  for (let at = 4; at < bytes.length; at++) expect([at, cosignedAt(`${head}${changed(at)}`, by)]).toEqual([at, null]);
  expect(cosignedAt(`${head}${line}${changed(20)}`, by)).toBeNull();
  expect(cosignedAt(`${head.replace("\n7\n", "\n8\n")}${line}`, by)).toBeNull();
  expect(cosignedAt(`${head}${cosign(text.replace("\n7\n", "\n8\n"), by.name, key, SECONDS)}`, by)).toBeNull();
  expect(() => cosign(text, by.name, key, 0)).toThrow(RangeError);
});

test("a cosigner's verifier key is taken in one spelling, of type 0x04, and its id is its own", () => {
  const written = cosignerText(by);
  expect(parseCosigner(written)).toEqual({ name: by.name, publicKey: new Uint8Array(by.publicKey) });
  const wrong = [
    verifierKey(by.name, by.publicKey),
    written.replace("w1", "w2"),
    written.replace(/\+[0-9a-f]{8}\+/, "+00000000+"),
    written.slice(0, -1),
    `${written}=`,
    ` ${written}`,
    written.replace("/w1", " w1"),
    "",
  ];
  for (const one of wrong) expect([one, parseCosigner(one)]).toEqual([one, null]);
});
