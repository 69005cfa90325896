import "reflect-metadata";
import { expect, test } from "bun:test";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import fc from "fast-check";
import type { TrustClaims } from "../../agent/wire/protocol.ts";
import { checkTrust } from "../../agent/wire/trust.ts";
import { makeRootCertificate } from "../../control/certificates.ts";
import { type Change, isSo, nextClaims } from "../../control/nextStatement.ts";
import { rootDigest, rootOf } from "../../control/roots.ts";
import { signStatement } from "../../control/statement.ts";
import { Complaint } from "../../control/terminal.ts";
import { isRefusal } from "../../policy/refusal.ts";

type Key = { kid: string; x: string; key: KeyObject };
const keys: Key[] = Array.from({ length: 6 }, (_, index) => {
  const pair = generateKeyPairSync("ed25519");
  return { kid: `k${index}`, x: String(pair.publicKey.export({ format: "jwk" }).x), key: pair.privateKey };
});
const roots = await Promise.all(
  ["one", "two", "three"].map(async (name) => rootOf((await makeRootCertificate(name)).pem).der),
);
const public_ = ({ kid, x }: Key) => ({ kid, x });
const [first] = keys;
if (first === undefined) throw new Error("no key");
const START: TrustClaims = {
  iss: "vendor.example",
  aud: "prod-eu-1",
  version: 1,
  iat: 1_790_000_000,
  roots: roots.slice(0, 1),
  command_keys: [public_(first)],
  witness_keys: [],
};
/** Mostly nothing, so that a change is often one that can be made. */
const few = <T>(of: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant<T[]>([]) }, { weight: 2, arbitrary: fc.array(of, { maxLength: 2 }) });
const kid = fc.constantFrom(...keys.map((one) => one.kid));
// One time in three a known name comes with another key, or a known key under another name.
const key = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...keys.map(public_)) },
  { weight: 1, arbitrary: fc.record({ kid, x: fc.constantFrom(...keys.map((one) => one.x)) }) },
);
const changes: fc.Arbitrary<Change> = fc.record({
  addKeys: few(key),
  dropKeys: few(kid),
  addRoots: few(fc.constantFrom(...roots)),
  dropRoots: few(fc.constantFrom(...roots.map(rootDigest))),
  addWitnesses: few(key),
  dropWitnesses: few(kid),
});

function next(history: readonly TrustClaims[], change: Change): TrustClaims | null {
  const standing = { cluster: "prod-eu-1", history, rootInUse: roots[0] ?? "", tokenKey: keys[5]?.x ?? "" };
  try {
    return nextClaims(standing, change, 1_790_000_001);
  } catch (error) {
    if (error instanceof Complaint) return null;
    throw error;
  }
}

test("whatever changes are asked for, what is signed is what an agent takes, and it never locks anybody out", async () => {
  let signed = 0;
  let refused = 0;
  const walk = fc.asyncProperty(fc.array(changes, { minLength: 4, maxLength: 24 }), async (asked) => {
    const history = [START];
    for (const change of asked) {
      const before = history.at(-1) ?? START;
      const claims = next(history, change);
      if (claims === null) {
        refused++;
        continue;
      }
      signed++;
      const by = keys.find((one) => before.command_keys.some((key) => key.x === one.x));
      if (by === undefined) throw new Error("nobody can sign the next one");
      const jws = signStatement(claims, { ...by, sign: (bytes) => sign(null, bytes, by.key) });
      const judged = await checkTrust(jws, { cluster: "prod-eu-1", trustDomain: "vendor.example", before, pin: "" });
      expect(isRefusal(judged) ? judged.because : "").toBe("");
      const all = [...claims.command_keys, ...claims.witness_keys].map((key) => key.x);
      expect(new Set(all).size).toBe(all.length);
      expect(all).not.toContain(keys[5]?.x ?? "");
      expect(claims.roots).toContain(roots[0] ?? "");
      expect(new Set(claims.roots).size).toBe(claims.roots.length);
      for (const field of ["command_keys", "witness_keys"] as const)
        for (const key of history.flatMap((one) => one[field]))
          for (const now of claims[field]) expect((now.kid === key.kid) === (now.x === key.x)).toBe(true);
      const kidsOf = (keys: readonly { kid: string }[]) => keys.map((key) => key.kid);
      for (const kid of change.dropKeys) expect(kidsOf(claims.command_keys)).not.toContain(kid);
      for (const kid of change.dropWitnesses) expect(kidsOf(claims.witness_keys)).not.toContain(kid);
      for (const root of change.dropRoots) expect(claims.roots.map(rootDigest)).not.toContain(root);
      for (const field of ["command_keys", "witness_keys"] as const) {
        const gone = history.flatMap((one) => one[field]).filter((one) => !kidsOf(before[field]).includes(one.kid));
        for (const one of gone) expect(kidsOf(claims[field])).not.toContain(one.kid);
        for (const one of gone) expect(all).not.toContain(one.x);
      }
      for (const root of history.flatMap((one) => one.roots))
        if (!before.roots.includes(root)) expect(claims.roots).not.toContain(root);
      const named = (of: TrustClaims) => [of.command_keys, of.witness_keys, of.roots];
      expect(named(claims)).not.toEqual(named(before));
      expect(isSo(change, [...history, claims])).toBe(true);
      history.push(claims);
    }
  });
  await fc.assert(walk, { numRuns: 3000 });
  console.log(`${signed} signed, ${refused} refused`);
  expect(signed).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(100);
}, 60_000);

test("a statement that names no change is refused, and a drop of what was never named is not so already", () => {
  const none: Change = { addKeys: [], dropKeys: [], addRoots: [], dropRoots: [], addWitnesses: [], dropWitnesses: [] };
  expect(next([START], none)).toBeNull();
  expect(isSo(none, [START])).toBe(false);
  expect(isSo({ ...none, dropKeys: ["nobody"] }, [START])).toBe(false);
  expect(isSo({ ...none, dropRoots: [createHash("sha256").update("x").digest("hex")] }, [START])).toBe(false);
  expect(isSo({ ...none, addKeys: [public_(first)] }, [START])).toBe(true);
});

test("what was dropped stays dropped: neither its name for another key nor its key under another name comes back", () => {
  const none: Change = { addKeys: [], dropKeys: [], addRoots: [], dropRoots: [], addWitnesses: [], dropWitnesses: [] };
  const [, second, third] = keys.map(public_);
  if (second === undefined || third === undefined) throw new Error("no keys");
  const then = next([START], { ...none, addKeys: [second], dropKeys: ["k0"] });
  if (then === null) throw new Error("a plain rotation is refused");
  expect(next([START, then], { ...none, addKeys: [{ kid: "k0", x: third.x }] })).toBeNull();
  expect(next([START, then], { ...none, addKeys: [{ kid: "k9", x: public_(first).x }] })).toBeNull();
  expect(next([START, then], { ...none, addKeys: [third] })?.command_keys).toEqual([second, third]);
});
