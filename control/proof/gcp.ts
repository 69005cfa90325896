import { z } from "zod";
import { type Proof, reeveAudience } from "../../agent/wire/proof.ts";
import { Faulted } from "../fault.ts";
import { readPlatformToken } from "./platformToken.ts";
import type { Shown } from "./shown.ts";
import type { SigningKeys } from "./signingKeys.ts";

type GcpProof = Extract<Proof, { platform: "gcp" }>;

/** "Verifying the identity of VM instances": what a token with `format=full` says. What is not used is let be. */
const Claims = z.object({
  iss: z.literal("https://accounts.google.com"),
  aud: z.string(),
  email: z.string().regex(/^[a-z0-9-]{1,64}@[a-z0-9.:-]{1,128}\.gserviceaccount\.com$/),
  email_verified: z.literal(true),
  // Whoever may only make tokens for the account (iam.serviceAccounts.getOpenIdToken) cannot have this part made.
  google: z.object({
    compute_engine: z.object({
      project_id: z.string().regex(/^[a-z][a-z0-9.:-]{4,127}$/),
      instance_id: z.string().regex(/^\d{1,20}$/),
    }),
  }),
});

/**
 * Which instance asked Google for an identity token with our audience, and as which service account. The audience is the binding: a token
 * for another nonce, control plane, cluster or key is for somebody else. Faulted: proof-invalid, unavailable.
 */
export async function shownByGcp(
  proof: GcpProof,
  binding: Uint8Array,
  keys: SigningKeys,
  nowSeconds: number,
): Promise<Shown | Faulted> {
  const read = await readPlatformToken(proof.token, keys, nowSeconds);
  if ("unreachable" in read) return new Faulted("unavailable", `Google's keys cannot be read: ${read.unreachable}`);
  if ("invalid" in read) return invalid(read.invalid);
  const claims = Claims.safeParse(read.claims);
  if (!claims.success) return invalid("its token is not the full identity token of a Compute Engine instance");
  if (claims.data.aud !== reeveAudience(binding))
    return invalid("its token is for another audience than this enrolment");
  const { email, google } = claims.data;
  const { project_id: project, instance_id: instance } = google.compute_engine;
  return { platform: "gcp", project, account: email, instance };
}

function invalid(why: string): Faulted {
  return new Faulted("proof-invalid", `the proof is refused: ${why}`);
}
