import { type Answered, type AskedPlace, ask } from "./ask.ts";

/** Where a platform publishes the keys that sign its tokens (RFC 7517). */
export type KeysPlace = AskedPlace & { readonly path: string };

export function askKeys(place: KeysPlace): Promise<Answered | { readonly unreachable: string }> {
  return ask(place, { method: "GET", path: place.path, headers: { accept: "application/json" }, body: "" });
}

function publicKeys(host: string, path: string): KeysPlace {
  return { host, at: host, ca: null, path };
}

/** Google's for tokens of every kind: https://accounts.google.com/.well-known/openid-configuration names it. */
export const GOOGLE_KEYS = publicKeys("www.googleapis.com", "/oauth2/v3/certs");
/** Entra's for v2.0 tokens of every tenant of the public cloud. */
export const ENTRA_KEYS = publicKeys("login.microsoftonline.com", "/common/discovery/v2.0/keys");
