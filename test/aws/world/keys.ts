import type { Principal } from "./made.ts";
import type { Secret } from "./signature.ts";

/** Credentials that the world has given out. */
export type Key = { readonly secret: Secret; readonly principal: Principal; expires: number };
export type Keys = {
  find(accessKey: string): Key | null;
  add(key: Key): void;
  all(): readonly Key[];
};

export function makeKeys(): Keys {
  const keys = new Map<string, Key>();
  return {
    find: (accessKey) => keys.get(accessKey) ?? null,
    add: (key) => void keys.set(key.secret.accessKey, key),
    all: () => [...keys.values()],
  };
}
