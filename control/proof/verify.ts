import type { Proof } from "../../agent/wire/proof.ts";
import { Faulted } from "../fault.ts";
import { shownByAws } from "./aws.ts";
import type { ProofPlaces } from "./places.ts";
import type { Shown } from "./shown.ts";

/** Checks asked of platforms at one time: whoever sends nonsense cannot have us ask without end. */
const MAX_CHECKS = 32;

export type Verifier = (proof: Proof, binding: Uint8Array) => Promise<Shown | Faulted>;

/** Says who a proof shows, by asking its platform where `places` says. Faulted: proof-invalid, unavailable. */
export function proofVerifier(places: ProofPlaces): Verifier {
  let checks = 0;
  return async (proof, binding) => {
    if (checks >= MAX_CHECKS) return new Faulted("unavailable", "too many proofs are being checked; try again");
    checks++;
    try {
      return await verifyProof(proof, binding, places);
    } finally {
      checks--;
    }
  };
}

export async function verifyProof(proof: Proof, binding: Uint8Array, places: ProofPlaces): Promise<Shown | Faulted> {
  switch (proof.platform) {
    case "aws":
      return shownByAws(proof, binding, places.aws);
    case "gcp":
    case "azure":
      return new Faulted("proof-invalid", `this control plane takes no proofs of ${proof.platform}`);
  }
}
