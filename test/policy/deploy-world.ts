/** Random deploy rules, changes of them, and manifests that are found, for review-world.ts and less.test.ts. */
import fc from "fast-check";
import type { ManifestFacts } from "../../policy/asked.ts";
import { noteKeyOf } from "../../policy/keys.ts";
import type { Situation } from "../../policy/review/space.ts";

/** Nobody has the private keys any more. */
export const SIGNERS = [
  "vendor.example/s1+78096948+AXtpV6WBZT2dQsxejIimFUQnlJFctH+vQYbgfQVf3oW7",
  "vendor.example/s2+a74dd69e+AYR37AEB1876YEu/lr3azhy7QdZLY56fVbc6v6hu389c",
  "vendor.example/s3+b29d1f0e+AdlmnMoqpM0KGzT+KhQLzUlYMuQkClAbq/i8GdDcrPpV",
  "vendor.example/s4+e25f5f9a+AQcsntJPSycxLXjjIrpCNiKbOcoUNsWQ/cGBvNv5dGF2",
] as const;
/** What is in them: who signs, whatever a policy calls it. */
export const SIGNER_KEYS = SIGNERS.map((text) => noteKeyOf(text) ?? "");
const VERSIONS = ["0.0.0", "1.0.0", "1.0.1", "1.1.0", "1.999999.999999", "2.0.0", "999999.999999.999999"] as const;
const SIGNED_BY = [
  { by: ["s1"], need: 1 },
  { by: ["s2"], need: 1 },
  { by: ["s1", "s2"], need: 1 },
  { by: ["s1", "s2"], need: 2 },
  { by: ["s2", "s3"], need: 1 },
  { by: ["s1", "s2", "s3"], need: 2 },
  { by: ["s1", "s2", "s3"], need: 3 },
];
/** Any one of a list, by a number. */
const nth = <T>(list: readonly T[], by: number): T => list[by % list.length] as T;
const DIGEST = `sha256:${"0".repeat(64)}`;

const versions = fc
  .tuple(fc.nat(VERSIONS.length - 1), fc.nat(VERSIONS.length - 1))
  .map(([a, b]) => ({ min: VERSIONS[Math.min(a, b)], max: VERSIONS[Math.max(a, b)] }));

/** The fields of a deploy rule that are its own. */
export const deployFields = {
  allow: fc.constant("deploy"),
  group: fc.constantFrom("g", "g", "g", "h"),
  signers: fc.constantFrom(...SIGNED_BY),
  version: versions,
  unavailable: fc.integer({ min: 1, max: 3 }),
};

/** A rule before it is parsed. */
type DeployJson = {
  signers: { by: string[]; need: number };
  version: { min: string; max: string };
  unavailable: number;
};

/** Widens or narrows one field. */
export function changeDeploy(rule: DeployJson, by: number): void {
  const version = nth(VERSIONS, by);
  if (by % 4 === 0) rule.signers = structuredClone(nth(SIGNED_BY, by));
  else if (by % 4 === 1) rule.unavailable = 1 + (by % 3);
  else rule.version[by % 4 === 2 ? "min" : "max"] = version;
}

/** Two rules that together hold what the one held, or nearly. */
export function cutDeploy(rule: DeployJson, other: DeployJson, by: number): void {
  const middle = nth(VERSIONS, by);
  if (by % 2 === 0 && rule.signers.need === 1) {
    rule.signers.by = rule.signers.by.slice(0, 1);
    other.signers.by = other.signers.by.slice(-1);
  } else if (by % 3 === 0) other.unavailable = 1;
  else {
    rule.version.max = middle;
    other.version.min = middle;
  }
}

/** As review has it: `signedBy` holds keys, and whose cluster and place it is, is not said. */
export const deploySituation: fc.Arbitrary<Situation> = fc
  .record({
    group: fc.constantFrom("g", "g", "g", "h"),
    signedBy: fc.subarray([...SIGNER_KEYS]),
    version: fc.constantFrom(...VERSIONS, "0.0.1", "1.0.2", "1.2.0", "2.0.1"),
    unavailable: fc.integer({ min: 1, max: 4 }),
    named: fc.nat(7).map((nth) => nth !== 0),
    made: fc.nat(7).map((nth) => (nth === 0 ? `sha256:${"1".repeat(64)}` : null)),
  })
  .map(({ group, signedBy, version, unavailable, named, made }): Situation => {
    const manifest: ManifestFacts = {
      digest: DIGEST,
      signedBy,
      cluster: "",
      place: { cloud: "", account: "", region: "" },
      policy: made,
      version,
      group: named ? { image: "image", digest: DIGEST } : null,
    };
    return {
      asked: { action: "deploy", args: { group, manifest: DIGEST } },
      found: { action: "deploy", manifest, image: null, count: 3 },
      unavailable,
    };
  });
