/** Names in a policy: one spelling each, nothing is normalised, no wildcard can be written. */

/** RFC 1123 host name of at most 253 bytes: lower case, no trailing dot, no wildcard, no IDN; `_` may start a label. */
export const DNS_NAME =
  /^(?=.{1,253}$)(?!.*xn--)(?:_?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\._?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;
/** Printable ASCII without space, quotes, backslash, `*` and `?`. */
export const RESOURCE = /^[!#-&(-)+->@-[\]-~]{1,2048}$/;
export const ID = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;
/** Words for people: no control, format, surrogate or separator characters. */
export const WORDS = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{1,256}$/u;

export type Names = { readonly below: string } | { readonly exactly: readonly string[] };

/** Label-wise: `below: a.example` is x.a.example, never a.example, never xa.example. */
export function nameAllowed(names: Names, name: string): boolean {
  if (!DNS_NAME.test(name)) return false;
  return "below" in names ? name.endsWith(`.${names.below}`) : names.exactly.includes(name);
}

/** A digest as people tell them apart: `sha256:` and twelve digits. */
export function shortDigest(digest: string): string {
  const most = "sha256:".length + 12;
  return digest.length <= most ? digest : `${digest.slice(0, most)}…`;
}
