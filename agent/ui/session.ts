import { timingSafeEqual } from "node:crypto";
import type { Random } from "../host/host.ts";

const SECRET_BYTES = 32;

/**
 * One person's session, opened by a token that is good for one exchange. What is read needs two secrets: the cookie, which no script sees, and the
 * key, which the page holds: cookies of 127.0.0.1 go to every port of it, so that another user's server there could be handed the cookie alone.
 */
export type Session = {
  /** For the one-time address. */
  readonly token: string;
  /** The two secrets for the token, once; null for another token, or the second time. */
  open(token: string): { readonly cookie: string; readonly key: string } | null;
  holds(cookie: string | undefined, key: string | undefined): boolean;
};

export function newSession(random: Random): Session {
  const secret = (): string => Buffer.from(random.bytes(SECRET_BYTES)).toString("base64url");
  const [token, cookie, key] = [secret(), secret(), secret()];
  let used = false;
  return {
    token,
    open(given) {
      if (used || !isSame(given, token)) return null;
      used = true;
      return { cookie, key };
    },
    holds: (givenCookie, givenKey) => used && isSame(givenCookie, cookie) && isSame(givenKey, key),
  };
}

function isSame(given: string | undefined, secret: string): boolean {
  const bytes = Buffer.from(given ?? "", "utf8");
  return bytes.length === secret.length && timingSafeEqual(bytes, Buffer.from(secret, "utf8"));
}
