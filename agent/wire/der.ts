/**
 * True when the bytes are one DER element and nothing after it, with definite lengths in their shortest form all the way down
 * (ITU-T X.690, 8.1.3 and 10.1). Parsers differ in what they overlook; what is strictly DER they read alike.
 */
export function isStrictDer(bytes: Uint8Array): boolean {
  return elementEnd(bytes, 0, bytes.length, 32) === bytes.length;
}

/** Where the element that begins at `start` ends, or -1. */
function elementEnd(bytes: Uint8Array, start: number, limit: number, depthLeft: number): number {
  const tag = bytes[start];
  const first = bytes[start + 1];
  // Tag numbers above 30 do not occur in X.509 or PKCS #10.
  if (depthLeft === 0 || tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return -1;
  let at = start + 2;
  let length = first;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 3 || at + count > limit) return -1;
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + (bytes[at + i] ?? 0);
    at += count;
    if (length < 0x80 || length < 256 ** (count - 1)) return -1;
  }
  const end = at + length;
  if (end > limit) return -1;
  if ((tag & 0x20) === 0) return end;
  while (at < end) {
    const next = elementEnd(bytes, at, end, depthLeft - 1);
    if (next === -1) return -1;
    at = next;
  }
  return end;
}
