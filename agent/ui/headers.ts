/**
 * What a page of ours tells a browser with every answer: it shows no other site's things, and is shown by none. `allows`: what its policy for content
 * permits beyond nothing.
 */
export function pageHeaders(allows: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const policy = {
    "default-src": "'none'",
    "img-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    ...allows,
  };
  return {
    "cache-control": "no-store",
    "content-security-policy": Object.entries(policy)
      .map((words) => words.join(" "))
      .join("; "),
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
  };
}
