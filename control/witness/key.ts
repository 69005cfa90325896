import { createPrivateKey, createPublicKey, generateKeyPairSync, hash, type KeyObject } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Cosigner, cosignerText, parseCosigner } from "../../agent/audit/cosignature.ts";
import { Base64Url32 } from "../../agent/wire/names.ts";
import { writeDurably } from "../files.ts";
import { jsonOf } from "../json.ts";
import { Complaint } from "../terminal.ts";

/** Who cosigns, with the private half: made here, never elsewhere. */
export type WitnessKey = Cosigner & { readonly privateKey: KeyObject };

export const WITNESS_KEY_FILE = "witness.json";
const Jwk = z.strictObject({
  kid: z.string(),
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: Base64Url32,
  d: Base64Url32,
});

/**
 * Opens DIR/witness.json (0600, a private JWK, its kid the witness's name), and makes it when it is not there. `name`: wanted, else one that
 * the key gives; a key keeps the name that it was made with, for the name is in every cosignature.
 */
export function openWitnessKey(dir: string, name: string | undefined): WitnessKey {
  const cannot = `use the witness's key in ${dir}`;
  const file = join(dir, WITNESS_KEY_FILE);
  if (!existsSync(file)) makeKey(file, name ?? null, cannot);
  const key = readKey(file, cannot);
  if (name !== undefined && name !== key.name)
    throw new Complaint(
      3,
      cannot,
      `its name is ${key.name}, not ${name}`,
      "A witness keeps its name; use another folder for another witness.",
    );
  return key;
}

/** The verifier key, as a config's `witnesses` takes it. */
export function witnessKeyText(key: Cosigner): string {
  return cosignerText(key);
}

function makeKey(file: string, wanted: string | null, cannot: string): void {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { x, d } = privateKey.export({ format: "jwk" });
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  const name = wanted ?? `witness-${hash("sha256", raw, "hex").slice(0, 8)}`;
  if (parseCosigner(cosignerText({ name, publicKey: raw })) === null)
    throw new Complaint(
      2,
      cannot,
      `${JSON.stringify(name)} is no witness's name`,
      "Use 1 to 128 characters without spaces and +, for example witness.example.com/reeve.",
    );
  writeDurably(file, `${JSON.stringify({ kid: name, kty: "OKP", crv: "Ed25519", x, d })}\n`, 0o600);
}

function readKey(file: string, cannot: string): WitnessKey {
  const parsed = Jwk.safeParse(jsonOf(readFileSync(file, "utf8")));
  if (!parsed.success)
    throw new Complaint(3, cannot, `${file} holds no private Ed25519 key with a name`, "Bring it back from a copy.");
  const { kid: name, x, d } = parsed.data;
  const privateKey = createPrivateKey({ key: { kty: "OKP", crv: "Ed25519", x, d }, format: "jwk" });
  // The private half decides: an x that does not belong to it would only name a key that signs nothing.
  const publicKey = createPublicKey(privateKey).export({ format: "der", type: "spki" }).subarray(-32);
  return { name, publicKey: new Uint8Array(publicKey), privateKey };
}
