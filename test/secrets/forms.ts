import { createPrivateKey } from "node:crypto";
import { existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** Raw bytes, hex, and base64 and base64url wherever in a longer text they begin. */
export function formsOf(bytes: Buffer): Buffer[] {
  const shifted = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString("base64")
      .replaceAll("=", "");
    // The first and the last characters depend on what stands beside.
    return text.slice(shift === 0 ? 0 : shift + 1, -1);
  });
  const texts = [bytes.toString("hex"), bytes.toString("hex").toUpperCase(), ...shifted];
  const url = shifted.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"));
  return [bytes, ...[...texts, ...url].map((text) => Buffer.from(text))];
}

/** A private key in PEM: the seed or scalar in each form, and so the lines of the PEM that hold some of it. */
export function formsOfKey(pem: string): Buffer[] {
  const { d } = createPrivateKey(pem).export({ format: "jwk" });
  if (typeof d !== "string") throw new Error("the key has no private part");
  // PKCS #8 of Ed25519 has one line; of P-256 three, the last of which is of the public key alone.
  const lines = pem.split("\n").filter((line) => line !== "" && !line.startsWith("-----"));
  return [...formsOf(Buffer.from(d, "base64url")), ...lines.slice(0, 2).flatMap((line) => formsOf(Buffer.from(line)))];
}

/** Everything there is to read: a name for it, and its bytes. */
export type Places = ReadonlyMap<string, Buffer>;

/** Every file below a folder, by its path in it. */
export function filesBelow(folder: string): Map<string, Buffer> {
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name));
  const files = paths.filter((path) => existsSync(path) && lstatSync(path).isFile());
  return new Map(files.map((path) => [relative(folder, path), readFileSync(path)]));
}

/** What the kernel says of a process to whoever may ask. */
export function processPlaces(name: string, pid: number): Map<string, Buffer> {
  const kinds = ["environ", "cmdline", "maps", "comm", "status"];
  return new Map(kinds.map((kind) => [`${name}: /proc/PID/${kind}`, readFileSync(`/proc/${pid}/${kind}`)]));
}

/** Names of the places where any of the forms stands. */
export function whereIs(forms: readonly Buffer[], places: Places): string[] {
  return [...places].flatMap(([name, bytes]) => (forms.some((form) => bytes.includes(form)) ? [name] : [])).sort();
}
