import { KeyObject, sign, verify, webcrypto } from "node:crypto";
import type { Pending } from "./time.ts";

/**
 * WebCrypto works on threads, and which of two operations ends first is chance. Here each is delivered in the order in which it was asked
 * for, one at a time. ECDSA signatures are of one length in DER, so that no file's length is chance; signing and verifying wait for no thread.
 */
export function installCrypto(): Pending & { restore(): void } {
  // A key that cannot be exported signs here all the same.
  process.noDeprecation = true;
  const subtle = webcrypto.subtle as unknown as Record<string, (...words: never[]) => Promise<unknown>>;
  const waiting: { readonly done: Promise<unknown>; readonly deliver: () => void }[] = [];
  const before = new Map<string, PropertyDescriptor | undefined>();
  const put = (name: string, make: (native: (...words: never[]) => Promise<unknown>) => unknown): void => {
    before.set(name, Object.getOwnPropertyDescriptor(subtle, name));
    const native = (subtle[name] as (...words: never[]) => Promise<unknown>).bind(subtle);
    Object.defineProperty(subtle, name, { value: make(native), configurable: true, writable: true });
  };
  for (const name of ["generateKey", "importKey", "exportKey", "digest"])
    put(name, (native) => (...words: never[]) => {
      const result = native(...words);
      return new Promise((resolve, reject) => {
        const done = result.then(
          (value) => () => resolve(value),
          (error: unknown) => () => reject(error),
        );
        let settled = (): void => undefined;
        waiting.push({ done: done.then((then) => (settled = then)), deliver: () => settled() });
      });
    });
  put("sign", (native) => async (algorithm: { name: string }, key: CryptoKey, bytes: Uint8Array) => {
    if (algorithm.name !== "ECDSA") return native(...([algorithm, key, bytes] as never[]));
    const made = ofOneLength(KeyObject.from(key as never), Buffer.from(bytes));
    return made.buffer.slice(made.byteOffset, made.byteOffset + made.byteLength);
  });
  put(
    "verify",
    (native) =>
      async (algorithm: { name: string } | string, key: CryptoKey, signature: Uint8Array, bytes: Uint8Array) => {
        const name = typeof algorithm === "string" ? algorithm : algorithm.name;
        const own = KeyObject.from(key as never);
        if (name === "Ed25519") return verify(null, Buffer.from(bytes), own, Buffer.from(signature));
        if (name !== "ECDSA") return native(...([algorithm, key, signature, bytes] as never[]));
        return verify("sha256", Buffer.from(bytes), { key: own, dsaEncoding: "ieee-p1363" }, Buffer.from(signature));
      },
  );
  return {
    async deliver() {
      const next = waiting.shift();
      if (next === undefined) return false;
      await next.done;
      next.deliver();
      return true;
    },
    restore() {
      for (const [name, was] of before) {
        if (was === undefined) delete subtle[name];
        else Object.defineProperty(subtle, name, was);
      }
    },
  };
}

/** Neither half begins with a zero byte or a set sign bit: DER writes both with 32 bytes. */
function ofOneLength(key: KeyObject, bytes: Buffer): Buffer {
  for (;;) {
    const made = sign("sha256", bytes, { key, dsaEncoding: "ieee-p1363" });
    const plain = (at: number): boolean => (made[at] ?? 0) > 0 && (made[at] ?? 0) < 0x80;
    if (plain(0) && plain(32)) return made;
  }
}
