import type { Asked, Found, ManifestFacts } from "./asked.ts";
import { noteKeyOf } from "./keys.ts";
import type { Policy, RuleFor } from "./policy.ts";
import { isWithin } from "./version.ts";
import { cut, type Failure } from "./words.ts";

/** What a deploy rule, and the policy as a whole, say to a manifest. Pure: signatures were checked by whoever read its bytes. */

/** How a manifest names the policy's place: one form for every cloud. On this machine there is neither account nor region. */
export function manifestPlace(place: Policy["place"]): ManifestFacts["place"] {
  switch (place.cloud) {
    case "local":
      return { cloud: "local", account: "", region: "" };
    case "aws":
      return { cloud: "aws", account: place.account, region: place.region };
    case "gcp":
      return { cloud: "gcp", account: place.project, region: place.region };
    case "azure":
      return { cloud: "azure", account: place.subscription, region: place.resource_group };
  }
}

export function placeText({ cloud, account, region }: ManifestFacts["place"]): string {
  return [cloud, account, region].filter((part) => part !== "").join("/");
}

/** The distinct keys behind some of the policy's signers: the same key under two ids, or two names, is one. */
export function keysOf(policy: Pick<Policy, "signers">, ids: readonly string[]): ReadonlySet<string> {
  const keys = ids.flatMap((id) => (Object.hasOwn(policy.signers, id) ? [noteKeyOf(policy.signers[id] ?? "")] : []));
  return new Set(keys.filter((key) => key !== null));
}

/** What no rule can permit: a manifest of another cluster, place or policy, or one that does not name the group. */
function foreign(policy: Policy, group: string, manifest: ManifestFacts): Failure[] {
  const faults: Failure[] = [];
  const say = (code: Failure["code"], because: string, hint: string, found: string): void => {
    faults.push({ code, field: "manifest", because: `the manifest ${because}`, hint, found, alone: true });
  };
  if (manifest.cluster !== policy.cluster) {
    const because = `is of the cluster ${cut(manifest.cluster, 100)}, this is ${policy.cluster}`;
    say("policy.manifest.cluster", because, "Send this cluster's own: `manifest copy` makes it.", manifest.cluster);
  }
  const [there, here] = [placeText(manifest.place), placeText(manifestPlace(policy.place))];
  if (there !== here) {
    const because = `is for ${cut(there, 120)}, this cluster is in ${cut(here, 120)}`;
    say("policy.manifest.place", because, "Correct place in the manifest's parameters.", there);
  }
  if (manifest.policy !== null && manifest.policy !== policy.digest) {
    const hint = "Make it for the policy that is in force, or for none (policy: null).";
    say("policy.manifest.policy", "is made for another policy than the one in force", hint, manifest.policy);
  }
  if (manifest.group === null) {
    const hint = "Name the group, and where its image lies here, in the manifest's parameters.";
    say("policy.manifest.group", `does not say what runs in ${cut(group, 100)}`, hint, "not named");
  }
  return faults;
}

/** Why the rule does not let its group be taken to the manifest that was found. */
export function manifestFailures(
  policy: Policy,
  rule: RuleFor<"deploy">,
  { args }: Extract<Asked, { action: "deploy" }>,
  { manifest }: Extract<Found, { action: "deploy" }>,
): Failure[] {
  if (manifest.digest !== args.manifest) throw new Error("another manifest than the command names was judged");
  const failures: Failure[] = [];
  const owner = `, or ask ${policy.cluster}'s owner to change ${rule.id}.`;
  const { by, need } = rule.signers;
  const signed = by.filter((id) => manifest.signedBy.includes(id));
  if (keysOf(policy, signed).size < need) {
    const whom = need === 1 && by.length === 1 ? by.join() : `${need} of ${by.join(", ")}`;
    const because = `asks for a manifest signed by ${whom}, ${signed.length === 0 ? "none of whom" : `only ${signed.join(", ")}`} signed it`;
    const hint = `Have the manifest signed by ${whom}${owner}`;
    const found = manifest.signedBy.join(", ") || "signed by nobody that the policy names";
    failures.push({ code: "policy.manifest.signers", field: "signers", because, hint, found, allows: signed.length });
  }
  if (!isWithin(manifest.version, rule.version)) {
    const { min, max } = rule.version;
    const because = `allows versions from ${min} to ${max}, the manifest is ${manifest.version}`;
    const hint = `Deploy a manifest of such a version${owner}`;
    failures.push({ code: "policy.manifest.version", field: "version", because, hint, found: manifest.version });
  }
  return [...failures, ...foreign(policy, args.group, manifest)];
}
