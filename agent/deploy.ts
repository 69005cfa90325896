import type { DeployArgs, Found } from "../policy/asked.ts";
import type { Policy } from "../policy/policy.ts";
import type { DeployState, JudgedDeployArgs, Provider } from "../providers/provider.ts";
import type { Facts, Judged, Unseen, Work } from "./action.ts";
import { checksumOfNamed, factsOf, imageFor, type NamedManifest, obtainManifest } from "./artifacts/manifest.ts";
import type { ManifestSource } from "./artifacts/source.ts";

/** What a manifest deploys to a group, as far as the road needs it: read, judged, and what of it goes on record. */

const NOBODY_DEPLOYS = { missing: "this agent's provider has no deploy" } as const;

function judged(named: NamedManifest, args: DeployArgs, policy: Policy, state: DeployState): Judged {
  const found = deployFound(named, args, policy, state);
  const { manifest } = found;
  const facts: Facts = {
    checksum: checksumOfNamed(named),
    count: state.count,
    digest: manifest.group?.digest ?? null,
    healthy: state.healthy,
    image: state.image,
    signed_by: [...manifest.signedBy],
    to: manifest.group?.image ?? null,
    version: manifest.version,
  };
  return { found, facts };
}

/** Effects: reads the manifest, from the config's place for artifacts and by the digest that the command names. */
export async function deployWork(
  provider: Provider,
  manifests: ManifestSource,
  args: DeployArgs,
  signal: AbortSignal,
): Promise<Work | Unseen> {
  const deploys = provider.deploy;
  if (deploys === undefined) return NOBODY_DEPLOYS;
  const named = await obtainManifest(manifests, args.manifest, signal);
  if ("away" in named) return { artifact: "missing", because: named.away, hint: "Send it again when it answers." };
  if ("artifact" in named) return named;
  const image = imageFor(named.manifest, args.group);
  const before = (policy: Policy) => deployFound(named, args, policy, null);
  // No rule permits what the manifest does not name: `before` is refused, and nothing else of this is entered.
  if (image === null) return { ...unnamed(args.group), before };
  const judgedArgs: JudgedDeployArgs = { ...args, image: image.image, digest: image.digest };
  return {
    resource: args.group,
    operations: deploys.operations,
    places: deploys.places(judgedArgs),
    beside: deploys.beside?.(judgedArgs) ?? [],
    before,
    resumes: deploys.resume !== undefined,
    async describe(gate, errand) {
      const described = await deploys.describe(gate, judgedArgs, errand);
      if (!("state" in described)) return described;
      return {
        judge: (policy) => judged(named, args, policy, described.state),
        csr: null,
        execute: (inner, own) => deploys.execute(inner, judgedArgs, described.state, own),
      };
    },
  };
}

function unnamed(group: string): Omit<Work, "before"> {
  return {
    resource: group,
    operations: [],
    places: [],
    beside: [],
    resumes: false,
    describe: () => Promise.resolve({ missing: `the manifest does not name ${group}` }),
  };
}

/** The arguments and the state of an intent, from its entry alone. Throws when it does not say them: our own mistake. */
export function deployOfIntent(args: DeployArgs, facts: Facts): { args: JudgedDeployArgs; state: DeployState } {
  const { to, digest, image, count, healthy } = facts;
  if (typeof to !== "string" || typeof digest !== "string") throw new Error("an intent does not say its image");
  if (typeof count !== "number" || typeof healthy !== "number") throw new Error("an intent does not say its count");
  if (image !== null && typeof image !== "string") throw new Error("an intent does not say what was there");
  return { args: { ...args, image: to, digest }, state: { image, count, healthy } };
}

/** What the policy judges of a manifest: with the group's state, or before anything of the group was read. */
export function deployFound(
  named: NamedManifest,
  { group }: DeployArgs,
  policy: Policy,
  state: DeployState | null,
): Extract<Found, { action: "deploy" }> {
  const manifest = factsOf(named, group, policy);
  return { action: "deploy", manifest, image: state?.image ?? null, count: state?.count ?? 0 };
}
