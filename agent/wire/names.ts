import { z } from "zod";

/** The names that several formats share. All are taken as they are: nothing is normalised. */
export const ClusterName = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "a cluster's name: a-z 0-9 and -");
export const TrustDomain = z
  .string()
  .max(253)
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/, "a trust domain");
export const KeyId = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, "a key's id: letters, digits, . _ -");
/** RFC 9562 UUIDv7, lower case. */
export const CommandId = z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
/** When a command's id was made, as it says itself: milliseconds since 1970 (RFC 9562, section 5.7). */
export function timeOfId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
export const Sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, "a SHA-256 in lower-case hex: 64 characters");
/** SHA-256 of something whose bytes lie elsewhere. */
export const Digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, "sha256: and 64 hex digits");
/** 32 bytes in base64url without padding: an Ed25519 public key's `x`, an RFC 7638 thumbprint. */
export const Base64Url32 = z
  .string()
  .regex(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/, "32 bytes in base64url: 43 characters");
export const Seconds = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
export const Count = z.number().int().min(0).max(1_000_000);
/** The vendor's own words: shown, never obeyed. No control characters. */
export const Words = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u);
/** Names of resources in commands: printable ASCII without space, quotes or backslash. */
export const ResourceName = z
  .string()
  .min(1)
  .max(2048)
  .regex(/^[!#-&(-[\]-~]+$/);
/** RFC 1123 host name of at most 253 bytes, lower case, no trailing dot, no wildcard, no IDN; `_` may start a label. */
export const DnsName = z
  .string()
  .max(253)
  .regex(/^(?!.*xn--)(?:_?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\._?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/);

export function spiffeId(trustDomain: string, cluster: string): string {
  return `spiffe://${trustDomain}/cluster/${cluster}/agent`;
}
/** The cluster whose agent has this id, in this trust domain; null when it is no agent's. */
export function clusterOf(id: string, trustDomain: string): string | null {
  const cluster = /^spiffe:\/\/[^/]+\/cluster\/([^/]+)\/agent$/.exec(id)?.[1] ?? "";
  return ClusterName.safeParse(cluster).success && spiffeId(trustDomain, cluster) === id ? cluster : null;
}
/** The log's name: one per epoch (C2SP tlog-checkpoint, origin). */
export function logOrigin(agentId: string, epoch: number): string {
  return `${agentId}/epoch/${epoch}`;
}
