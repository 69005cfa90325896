import { z } from "zod";
import {
  MAX_COMMANDS_PER_POLL,
  MAX_ENTRIES_PER_REPORT,
  MAX_ENTRY_BYTES,
  MAX_MANIFEST_BYTES,
  MAX_POLICY_BYTES,
} from "../limits.ts";
import { Base64Url32, ClusterName, CommandId, KeyId, Seconds, TrustDomain } from "./names.ts";
import { Proof } from "./proof.ts";

/**
 * What travels between agent and control plane, besides commands. JSON over HTTPS; docs/PROTOCOL.md says it in prose.
 * Enrolment listener (server TLS): GET /v1/nonce, POST /v1/enroll, POST /v1/renew (expired certificate, with proof).
 * Agents' listener (client certificate): POST /v1/renew, /v1/commands (long poll), /v1/reports, /v1/shared, /v1/witness;
 * GET /v1/manifests/HEX.
 */
const Jws = z
  .string()
  .min(5)
  .max(64 * 1024)
  .regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/);
const Der = z
  .string()
  .min(4)
  .max(16 * 1024)
  .regex(/^[A-Za-z0-9+/]+={0,2}$/);
const Chain = z.array(Der).min(1).max(4);

/** Join token: claims of a JWS with header {"alg":"Ed25519","typ":"reeve-join+jwt"}, signed by the token key. */
export const TokenClaims = z.strictObject({
  /** The trust domain. */
  iss: TrustDomain,
  /** "reeve-enrol". */
  aud: z.literal("reeve-enrol"),
  /** The cluster. */
  sub: ClusterName,
  jti: z.string().regex(/^[A-Za-z0-9_-]{22,64}$/),
  iat: Seconds,
  exp: Seconds,
  /** The enrolment address, exactly as in the config. */
  url: z.string().max(512),
  /** Lower-case hex SHA-256 of the root CA's DER. */
  sha: z.string().regex(/^[0-9a-f]{64}$/),
});
export type TokenClaims = z.infer<typeof TokenClaims>;

/** Trust statement: claims of a JWS whose header is {"alg":"Ed25519","jwk":{"crv":"Ed25519","kty":"OKP","x":…},"typ":"reeve-trust+jwt"}. */
const PublicKey = z.strictObject({ kid: KeyId, x: Base64Url32 });
export const TrustClaims = z.strictObject({
  iss: TrustDomain,
  /** The cluster. */
  aud: ClusterName,
  version: z.number().int().min(1).max(1_000_000),
  iat: Seconds,
  /** Complete: what is not named stops at once. Root CAs as DER in base64. */
  roots: z.array(Der).min(1).max(8),
  command_keys: z.array(PublicKey).min(1).max(16),
  witness_keys: z.array(PublicKey).max(16),
});
export type TrustClaims = z.infer<typeof TrustClaims>;

/** `trust_domain`: what the agent is to be called in. The trust statement says it too, and its word is the one that is held to the pin. */
export const NonceAnswer = z.strictObject({ nonce: Base64Url32, trust_domain: TrustDomain });
export type NonceAnswer = z.infer<typeof NonceAnswer>;
/** By a token, by what the platform shows, or by both. `nonce`: the one that the proof binds. */
export const EnrolRequest = z
  .strictObject({ token: Jws.nullable(), proof: Proof.nullable(), nonce: Base64Url32.nullable(), csr: Der })
  .refine(({ proof, nonce }) => (proof === null) === (nonce === null), "a proof and its nonce come together")
  .refine(({ token, proof }) => token !== null || proof !== null, "there is neither a token nor a proof");
export type EnrolRequest = z.infer<typeof EnrolRequest>;
export const EnrolAnswer = z.strictObject({
  /** Leaf first, root last. */
  chain: Chain,
  /** Every statement from version 1 on; may be empty until the vendor has signed the first. */
  trust: z.array(Jws).max(1000),
  epoch: z.number().int().min(1),
  /** Unix seconds of this epoch's enrolment by the control plane's clock; shown only. */
  enrolled_at: Seconds,
  /** https://HOST:PORT of the agents' listener. */
  agents_url: z.string().max(512),
});
export type EnrolAnswer = z.infer<typeof EnrolAnswer>;

export const RenewRequest = z.strictObject({ csr: Der });
/** On the enrolment listener, within the grace: `signature` is ECDSA P-256 SHA-256 (IEEE P1363, base64url) by the expired certificate's key over `reeve-renew\n` + nonce + `\n` + base64 CSR. */
export const GraceRenewRequest = z.strictObject({
  csr: Der,
  chain: Chain,
  nonce: z.string(),
  signature: z.string().max(256),
});
export const RenewAnswer = z.strictObject({ chain: Chain });

export const PollRequest = z.strictObject({
  /** Drawn at start: UUIDv7. */
  process: CommandId,
  epoch: z.number().int().min(1),
  /** The newest signed checkpoint (a C2SP signed note). */
  checkpoint: z.string().max(8192),
  /** Version of the newest accepted trust statement; 0 for none. */
  trust_version: z.number().int().min(0),
  version: z.string().max(64),
  state: z.enum(["ready", "suspended", "refusing"]),
  /** The owner's reason when suspended, why all is refused when refusing, else "". */
  reason: z.string().max(256),
  /** How many commands the agent would take now. */
  take: z.number().int().min(0).max(MAX_COMMANDS_PER_POLL),
  /** How long the answer may wait for something to say, in seconds. */
  hold: z.number().int().min(0).max(60),
});
export type PollRequest = z.infer<typeof PollRequest>;
export const PollAnswer = z.strictObject({
  commands: z.array(z.string().max(64 * 1024)).max(MAX_COMMANDS_PER_POLL),
  /** Ids to be stopped if they have no intent yet. */
  cancel: z.array(CommandId).max(64),
  /** Statements newer than `trust_version`, in order. */
  trust: z.array(Jws).max(100),
});
export type PollAnswer = z.infer<typeof PollAnswer>;

/** Entries of the log, in order and without a gap, byte for byte as on disk (without the newline). */
export const ReportRequest = z.strictObject({
  /** Index of the first entry. */
  from: z.number().int().min(0),
  entries: z.array(z.string().min(2).max(MAX_ENTRY_BYTES)).max(MAX_ENTRIES_PER_REPORT),
  /** A signed checkpoint whose size is at least `from` + the number of entries. */
  checkpoint: z.string().max(8192),
  /** Place for inclusion proofs under a cosigned checkpoint; null until there are witnesses. */
  proofs: z.null(),
});
export type ReportRequest = z.infer<typeof ReportRequest>;
/** The index that the control plane wants next; it takes again what it has if the bytes are equal. */
export const ReportAnswer = z.strictObject({ next: z.number().int().min(0) });

const Hash = z.string().regex(/^[A-Za-z0-9+/]{43}=$/);
/** Entries that a receipt covers, one path each; and lines in one request. */
export const MAX_RECEIPTS = 200;
/**
 * Asks the control plane for its cosignature, and hands in receipts. `checkpoint`: a head of the log with the cosignatures that it has;
 * `receipts`: the inclusion proofs (RFC 6962 section 2.1.1, base64, from the leaf's side up) of entries from `from` on in that head.
 * `refused`: what other witnesses said that ends this agent.
 */
export const WitnessRequest = z.strictObject({
  checkpoint: z.string().max(8192),
  receipts: z
    .strictObject({ from: z.number().int().min(0), paths: z.array(z.array(Hash).max(63)).max(MAX_RECEIPTS) })
    .nullable(),
  refused: z.array(z.strictObject({ witness: z.string().max(128), code: z.enum(["rolled-back", "forked"]) })).max(16),
});
export type WitnessRequest = z.infer<typeof WitnessRequest>;
/** `cosignature`: one signature line (c2sp.org/tlog-cosignature). `receipts`: the first entry without one. */
export const WitnessAnswer = z.strictObject({
  cosignature: z
    .string()
    .max(1024)
    .regex(/^\u2014 \S+ [A-Za-z0-9+/=]+\n$/),
  receipts: z.number().int().min(0),
});
export type WitnessAnswer = z.infer<typeof WitnessAnswer>;

/**
 * What the owner's policy lists under `share`, and nothing else. `digest`: SHA-256 of the text's UTF-8 bytes, which the newest `policy`
 * entry names. `text` null: what was shared under this digest is not shared any more, and is to be forgotten.
 */
export const SharedRequest = z.strictObject({
  kind: z.literal("policy"),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  text: z.string().min(1).max(MAX_POLICY_BYTES).nullable(),
});
export type SharedRequest = z.infer<typeof SharedRequest>;
export const SharedAnswer = z.strictObject({});

/** `note`: a manifest as its signers signed it (c2sp.org/signed-note), of the asking agent's own cluster; by its digest, which the agent compares. */
export const ManifestAnswer = z.strictObject({ note: z.string().min(1).max(MAX_MANIFEST_BYTES) });

/** Any answer that is not 200: `code` is one of FAULTS. */
export const FAULTS = [
  "token-invalid",
  "token-expired",
  "token-burnt",
  "token-theft",
  "token-needed",
  "proof-needed",
  "proof-nonce",
  "proof-invalid",
  "proof-not-admitted",
  "proof-budget",
  "key-used",
  "csr-invalid",
  "fenced",
  "certificate",
  "expired",
  "malformed",
  "too-large",
  "conflict",
  "not-found",
  "unavailable",
  "not-available",
] as const;
export const Fault = z.strictObject({ code: z.enum(FAULTS), message: z.string().max(512) });
export type FaultCode = (typeof FAULTS)[number];
