import { expect, test } from "bun:test";
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { readSshKey } from "../../policy/keys.ts";
import { type Case, held } from "./held.ts";
import { vendored } from "./vendored.ts";

/** The primitives as the road uses them: `verify` of node:crypto (notes, SSH signatures, heads, log keys) and WebCrypto's (jose: envelopes). */
type Group = {
  readonly publicKeyDer: string;
  readonly publicKey: { readonly pk?: string };
  readonly tests: readonly {
    readonly tcId: number;
    readonly msg: string;
    readonly sig: string;
    readonly result: string;
  }[];
};
type Suite = { readonly testGroups: readonly Group[] };
const bytes = (hex: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(hex, "hex"));
const said = (good: boolean): string => (good ? "valid" : "invalid");

async function byWebCrypto(x: Uint8Array, message: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer>) {
  const jwk = { kty: "OKP", crv: "Ed25519", x: Buffer.from(x).toString("base64url") };
  const key = await crypto.subtle.importKey("jwk", jwk, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", key, signature, message);
}
function byNode(x: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), x]);
  return verify(null, message, createPublicKey({ key: der, format: "der", type: "spki" }), signature);
}

test("Wycheproof, Ed25519: both verifiers say of every signature what the suite does", async () => {
  const cases: Case[] = [];
  for (const group of vendored<Suite>("wycheproof-ed25519").testGroups) {
    const x = bytes(group.publicKey.pk ?? "");
    for (const { tcId, msg, sig, result } of group.tests) {
      const [message, signature] = [bytes(msg), bytes(sig)];
      cases.push({ id: `node ${tcId}`, says: result, ours: said(byNode(x, message, signature)) });
      cases.push({ id: `web ${tcId}`, says: result, ours: said(await byWebCrypto(x, message, signature)) });
    }
  }
  expect(cases.length).toBe(302);
  expect(held("Wycheproof Ed25519", cases, [])).toEqual([]);
});

/** `der` is what certificates and requests hold, `ieee-p1363` what heads, log keys and SSH signatures come to. */
for (const [name, dsaEncoding, count] of [
  ["wycheproof-ecdsa_secp256r1_sha256", "der", 484],
  ["wycheproof-ecdsa_secp256r1_sha256_p1363", "ieee-p1363", 262],
] as const)
  test(`Wycheproof, ECDSA P-256 with SHA-256, ${dsaEncoding}: every signature is judged as the suite says`, () => {
    const cases = vendored<Suite>(name).testGroups.flatMap((group): Case[] => {
      const key: KeyObject = createPublicKey({
        key: Buffer.from(group.publicKeyDer, "hex"),
        format: "der",
        type: "spki",
      });
      return group.tests.map(({ tcId, msg, sig, result }) => ({
        id: `${dsaEncoding} ${tcId}`,
        says: result,
        ours: said(verify("sha256", bytes(msg), { key, dsaEncoding }, bytes(sig))),
      }));
    });
    expect(cases.length).toBe(count);
    expect(held(`Wycheproof ECDSA P-256 ${dsaEncoding}`, cases, [])).toEqual([]);
  });

type Edge = {
  readonly number: number;
  readonly key: string;
  readonly sig: string;
  readonly msg: string;
  readonly flags: readonly string[] | null;
};

/** What the suite calls the most common behaviour: Go's, OpenSSL's, ed25519-dalek's. */
function common(flags: readonly string[]): string {
  return said(!flags.includes("non_canonical_R") && !flags.includes("low_order_residue"));
}

test("CCTV, Ed25519's edge cases: both verifiers behave as Go and OpenSSL do, and no person's key may be of low order", async () => {
  const cases: Case[] = [];
  for (const { number, key, sig, msg, flags: named } of vendored<readonly Edge[]>("cctv-ed25519")) {
    const flags = named ?? [];
    const [x, message, signature] = [bytes(key), new Uint8Array(Buffer.from(msg)), bytes(sig)];
    cases.push({ id: `node ${number}`, says: common(flags), ours: said(byNode(x, message, signature)) });
    cases.push({ id: `web ${number}`, says: common(flags), ours: said(await byWebCrypto(x, message, signature)) });
    const low = flags.includes("low_order_A") || flags.includes("non_canonical_A");
    cases.push({ id: `person ${number}`, says: low ? "refused" : "read", ours: asPerson(x) });
  }
  expect(cases.length).toBe(3 * 914);
  expect(held("CCTV Ed25519", cases, [])).toEqual([]);
});

function asPerson(x: Uint8Array): string {
  const string = (value: Uint8Array): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(value.length);
    return Buffer.concat([length, value]);
  };
  const blob = Buffer.concat([string(Buffer.from("ssh-ed25519")), string(x)]).toString("base64");
  return readSshKey(`ssh-ed25519 ${blob}`) === null ? "refused" : "read";
}
