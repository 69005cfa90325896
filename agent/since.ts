import type { Config } from "./config.ts";
import type { Identity } from "./identity/identity.ts";
import { TOKEN_LIFETIME_MAX_SECONDS } from "./limits.ts";

/**
 * Since when this machine's log knows of every intent in its cluster, in milliseconds since 1970: what a rate looks back on before that counts as
 * used up. Null: nobody acted before this machine. That an epoch is the first is the control plane's word, and gives no rates by itself:
 * - Where the owner's folder is a bucket, nothing is changed without a head that is put over what lies there (owner/putHead.ts). One of a machine
 *   before ends this one.
 * - Where it is a directory, a machine that joins by a token is the first: a token is good for a day and somebody placed it, so that a machine
 *   which takes another's place by itself has none. Of one that joins by its platform alone the owner has said until when the first joins, a day
 *   ahead at most.
 */
export function knowsSince(
  { epoch, enrolledAtMs, byToken }: Pick<Identity, "epoch" | "enrolledAtMs" | "byToken">,
  { owner, first_until }: Pick<Config, "owner" | "first_until">,
): number | null {
  if (epoch !== 1) return enrolledAtMs;
  if ("bucket" in owner || byToken) return null;
  const ahead = (first_until ?? enrolledAtMs) - enrolledAtMs;
  return ahead > 0 && ahead <= TOKEN_LIFETIME_MAX_SECONDS * 1000 ? null : enrolledAtMs;
}
