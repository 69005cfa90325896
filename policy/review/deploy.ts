import type { Found } from "../asked.ts";
import { noteKeyOf } from "../keys.ts";
import { manifestPlace } from "../manifest.ts";
import type { At } from "../match.ts";
import { indexed, type Policy, type RuleFor } from "../policy.ts";
import { asBits } from "./certificates.ts";
import { range, some } from "./extents.ts";
import type { Region } from "./region.ts";
import { asRange } from "./scale.ts";
import { type Asks, signings } from "./signings.ts";
import { rangeWords, type Situation, type Space } from "./space.ts";
import { versionParts } from "./versions.ts";

type DeployFound = Extract<Found, { action: "deploy" }>;
const MANIFEST = `sha256:${"0".repeat(64)}`;

export function asksOf(policy: Policy, rules: readonly RuleFor<"deploy">[]): readonly Asks[] {
  return rules.map((rule) => {
    const keys = new Map<string, string>();
    for (const id of rule.signers.by) {
      const key = noteKeyOf(policy.signers[id] ?? "");
      if (key === null) throw new Error("a signer was not checked");
      if (!keys.has(key)) keys.set(key, id);
    }
    return { rule, keys };
  });
}

/** Two rules whose signers are the same text here take the same signatures. */
export function asksText({ rule, keys }: Asks): string {
  return `${[...keys.keys()].sort().join(",")} need ${rule.signers.need}`;
}

/**
 * A manifest's `signedBy` holds keys here, not ids, and its cluster and place are nobody's: each policy sees its own names for the keys, and
 * its own cluster and place. What no rule can permit is not compared.
 */
export function seenBy(policy: Policy, { cluster, place }: At, found: DeployFound): DeployFound {
  const ids = Object.keys(policy.signers).filter((id) =>
    found.manifest.signedBy.includes(noteKeyOf(policy.signers[id] ?? "") ?? ""),
  );
  return { ...found, manifest: { ...found.manifest, signedBy: ids, cluster, place: manifestPlace(place) } };
}

/** The policy without the rules that let fewer machines be out of service than are to be. */
export function letting(policy: Policy, { asked, unavailable }: Situation): Policy {
  if (asked.action !== "deploy" || unavailable === undefined) return policy;
  const rules = policy.rules.filter((rule) => rule.allow === "deploy" && rule.unavailable >= unavailable);
  return rules.length === policy.rules.length ? policy : indexed({ ...policy, rules });
}

/** `signers`: who signed the manifest; `unavailable`: how many machines are out of service at once. Throws TooManyParts. */
export function deploySpace(group: string, asks: readonly Asks[]): Space {
  const who = signings(asks);
  const versions = versionParts(asks.map(({ rule }) => rule.version));
  return {
    of: null,
    regionOf(rule): Region | null {
      const own = rule as RuleFor<"deploy">;
      return {
        signers: some(who.bitsOf(own)),
        version: some(versions.bitsOf(own.version)),
        unavailable: range(1, own.unavailable),
      };
    },
    possible: () => true,
    idle: () => false,
    sample(region) {
      const manifest = {
        digest: MANIFEST,
        signedBy: who.sample(asBits(region["signers"])),
        cluster: "",
        place: { cloud: "", account: "", region: "" },
        policy: null,
        version: versions.sample(asBits(region["version"])),
        group: { image: "image", digest: MANIFEST },
      };
      return {
        asked: { action: "deploy", args: { group, manifest: MANIFEST } },
        found: { action: "deploy", manifest, image: null, count: 1 },
        unavailable: asRange(region["unavailable"]).max,
      };
    },
    valuesOf({ asked, found, unavailable }) {
      if (asked.action !== "deploy" || found.action !== "deploy" || asked.args.group !== group) return null;
      const { group: image, policy, signedBy, version } = found.manifest;
      if (image === null || policy !== null) return null;
      return {
        signers: who.partOf(signedBy),
        version: versions.partOf(version),
        unavailable: unavailable ?? 1,
      };
    },
    words(region) {
      const { min, max } = asRange(region["unavailable"]);
      return [
        `take the group ${group} to a manifest ${who.words(asBits(region["signers"]))}`,
        `of version ${versions.words(asBits(region["version"]))}`,
        `with ${rangeWords(min, max)} of its machines out of service at once`,
      ].join(", ");
    },
  };
}
