/** IAM's patterns: `*` is any run of characters, `?` any one. docs.aws.amazon.com, IAM JSON policy elements: Resource. */

/**
 * Whether everything that `other` matches, `pattern` matches: sound, and exact where `other` has no wildcard. In `other` a `*` is taken
 * only by a `*`, a `?` by either.
 */
export function covers(pattern: string, other: string): boolean {
  let [p, t] = [0, 0];
  let [star, resume] = [-1, 0];
  while (t < other.length) {
    const takes = pattern[p];
    if (takes === "*") {
      star = p++;
      resume = t;
    } else if (takes !== undefined && (takes === other[t] || (takes === "?" && other[t] !== "*"))) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resume;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

export function isWild(text: string): boolean {
  return /[*?]/.test(text);
}

/** Whether some text may be matched by both. Never no where there is one; two patterns with wildcards are said to meet. */
export function mayMeet(a: string, b: string): boolean {
  if (isWild(a) && isWild(b)) return true;
  return isWild(a) ? covers(a, b) : covers(b, a);
}

/** A resource as a pattern: a variable may be anything; `${*}`, `${?}` and `${$}` are the characters themselves, here as wide. */
export function resourcePattern(resource: string): { readonly pattern: string; readonly variable: boolean } {
  const pattern = resource.replace(/\$\{[^}]*\}/g, "*");
  return { pattern, variable: pattern !== resource };
}
