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

/** Checks asked of platforms at one time: whoever sends nonsense cannot have us ask without end. */
const MAX_CHECKS = 32;

export type Verifier = (proof: Proof, binding: Uint8Array) => Promise<Shown | Faulted>;

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
  const verify: Verifier = async (proof, binding) => {
    switch (proof.platform) {
      case "aws":
        return shownByAws(proof, binding, places.aws);
      case "gcp":
        return shownByGcp(proof, binding, google, Date.now() / 1000);
      case "azure":
        return shownByAzure(proof, binding, clouds, Date.now());
    }
  };
  let checks = 0;
  return async (proof, binding) => {
    if (checks >= MAX_CHECKS) return new Faulted("unavailable", "too many proofs are being checked; try again");
    checks++;
    try {
      return await verify(proof, binding);
    } finally {
      checks--;
    }
  };
}
