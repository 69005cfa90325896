import type { Proof } from "../../agent/wire/proof.ts";
import { Faulted } from "../fault.ts";
import { shownByAws } from "./aws.ts";
import { shownByAzure } from "./azure.ts";
import { casOf } from "./azureSigner.ts";
import { shownByGcp } from "./gcp.ts";
import { askKeys, type KeysPlace } from "./keysPlace.ts";
import type { ProofPlaces } from "./places.ts";
import type { Shown } from "./shown.ts";
import { signingKeys } from "./signingKeys.ts";

/**
 * Requests to STS under way, of all clusters and of one: whoever sends nonsense cannot have us ask without end, and in one cluster's name takes
 * no place from another. The other platforms' proofs are judged here, by keys that are kept.
 */
const MAX_ASKED = 32;
const MAX_ASKED_OF_CLUSTER = 4;

/** `cluster`: which the proof is for. */
export type Verifier = (proof: Proof, binding: Uint8Array, cluster: string) => Promise<Shown | Faulted>;

/**
 * Says who a proof shows: for AWS by asking it where `places` says, for the others by what they signed with keys that they publish there, which
 * are kept for a while. Faulted: proof-invalid, unavailable.
 */
export function proofVerifier(places: ProofPlaces): Verifier {
  const keysAt = (place: KeysPlace) =>
    signingKeys(
      () => askKeys(place),
      () => performance.now(),
    );
  const google = keysAt(places.gcp);
  const clouds = places.azure.map((place) => ({ ...place, cas: casOf(place.cas), keys: keysAt(place.keys) }));
  const asked = new Map<string, number>();
  const inTurn = async (cluster: string, ask: () => Promise<Shown | Faulted>): Promise<Shown | Faulted> => {
    const [all, ours] = [[...asked.values()].reduce((sum, one) => sum + one, 0), asked.get(cluster) ?? 0];
    if (all >= MAX_ASKED || ours >= MAX_ASKED_OF_CLUSTER)
      return new Faulted("unavailable", "too many proofs are being checked; try again");
    asked.set(cluster, ours + 1);
    try {
      return await ask();
    } finally {
      const left = (asked.get(cluster) ?? 1) - 1;
      if (left > 0) asked.set(cluster, left);
      else asked.delete(cluster);
    }
  };
  return async (proof, binding, cluster) => {
    switch (proof.platform) {
      case "aws":
        return inTurn(cluster, () => shownByAws(proof, binding, places.aws));
      case "gcp":
        return shownByGcp(proof, binding, google, Date.now() / 1000);
      case "azure":
        return shownByAzure(proof, binding, clouds, Date.now());
    }
  };
}
