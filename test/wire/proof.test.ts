import { expect, test } from "bun:test";
import { createHash, generateKeyPairSync } from "node:crypto";
import { clusterOf, spiffeId } from "../../agent/wire/names.ts";
import { azureNonce, Proof, proofBinding, reeveAudience } from "../../agent/wire/proof.ts";
import { EnrolRequest } from "../../agent/wire/protocol.ts";

const bytes = (fill: number, length: number): Uint8Array => new Uint8Array(length).fill(fill);
const bound = { nonce: bytes(1, 32), pin: bytes(2, 32), cluster: "prod-eu-1", spki: bytes(3, 91) };

test("a proof binds nonce, control plane, cluster and key: each other one is another binding, and the pieces cannot run into each other", () => {
  const whole = Buffer.concat([bound.nonce, bound.pin, Buffer.from(bound.cluster), bound.spki]);
  const expected = createHash("sha256").update(whole).digest("hex");
  expect(Buffer.from(proofBinding(bound)).toString("hex")).toBe(expected);
  const others = [
    { ...bound, nonce: bytes(9, 32) },
    { ...bound, pin: bytes(9, 32) },
    { ...bound, cluster: "prod-eu-2" },
    { ...bound, spki: bytes(9, 91) },
  ].map((one) => Buffer.from(proofBinding(one)).toString("hex"));
  expect(new Set([expected, ...others]).size).toBe(5);
  for (const wrong of [
    { ...bound, nonce: bytes(1, 31) },
    { ...bound, pin: bytes(1, 33) },
    { ...bound, spki: bytes(3, 90) },
  ])
    expect(() => proofBinding(wrong)).toThrow(TypeError);
});

test("a P-256 public key has the length that a proof binds", () => {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  expect(publicKey.export({ format: "der", type: "spki" })).toHaveLength(91);
});

test("the binding as each platform takes it: an audience, and ten digits", () => {
  const binding = Buffer.from(`${"ff".repeat(8)}${"00".repeat(24)}`, "hex");
  expect(reeveAudience(binding)).toBe(`https://reeve/${"ff".repeat(8)}${"00".repeat(24)}`);
  // 2^64 - 1 = 18446744073709551615
  expect(azureNonce(binding)).toBe("3709551615");
  expect(azureNonce(bytes(0, 32))).toBe("0000000000");
});

test("an enrolment is asked for by a token, a proof or both, and a proof comes with its nonce", () => {
  const proof: Proof = { platform: "gcp", token: "a.b.c" };
  const nonce = "A".repeat(43);
  const ask = (more: Record<string, unknown>): boolean =>
    EnrolRequest.safeParse({ token: null, proof: null, nonce: null, csr: "AAAA", ...more }).success;
  expect(ask({ token: "a.b.c" })).toBe(true);
  expect(ask({ proof, nonce })).toBe(true);
  expect(ask({ token: "a.b.c", proof, nonce })).toBe(true);
  expect(ask({})).toBe(false);
  expect(ask({ proof })).toBe(false);
  expect(ask({ token: "a.b.c", nonce })).toBe(false);
  expect(ask({ token: "a.b.c", proof: undefined })).toBe(false);
});

test("a proof of AWS holds four fields and no host, method or header of the caller's", () => {
  const aws = { platform: "aws", region: "eu-west-1", date: "20261129T000000Z", session: "s", authorization: "a" };
  expect(Proof.safeParse(aws).success).toBe(true);
  for (const more of [
    { host: "x.example" },
    { headers: {} },
    { region: "eu-west-1.x.example" },
    { region: "eu-west-1/" },
    { date: "now" },
    { session: "a\r\nhost: x" },
    { authorization: "a\nb" },
  ])
    expect(Proof.safeParse({ ...aws, ...more }).success).toBe(false);
});

test("a cluster is read from an agent's id alone, in this trust domain", () => {
  expect(clusterOf(spiffeId("vendor.example", "prod-eu-1"), "vendor.example")).toBe("prod-eu-1");
  for (const other of [
    spiffeId("other.example", "prod-eu-1"),
    "spiffe://vendor.example/cluster/PROD/agent",
    "spiffe://vendor.example/cluster/a/b/agent",
    "spiffe://vendor.example/cluster/a/agent/",
    "https://vendor.example/cluster/a/agent",
  ])
    expect(clusterOf(other, "vendor.example")).toBeNull();
});
