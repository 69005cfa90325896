/** What signs attested documents in Azure's place: certificates of a CA of the tests, and documents by `openssl cms`, which is not ours. */
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { running } from "../e2e/world.ts";

const HOUR = 3600_000;
const RSA = {
  name: "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
  publicExponent: new Uint8Array([1, 0, 1]),
} as const;

export type Holder = { readonly name: string; readonly keys: CryptoKeyPair; readonly pem: string };
type Ask = {
  readonly name: string;
  readonly by?: Holder;
  readonly ca?: boolean;
  readonly names?: readonly string[];
  readonly from?: number;
  readonly until?: number;
  readonly bits?: number;
};

/** A certificate and its key. Without `by` it is a root. */
export async function holder({
  name,
  by,
  ca = false,
  names = [],
  from = -HOUR,
  until = 24 * HOUR,
  bits = 2048,
}: Ask): Promise<Holder> {
  const keys = (await webcrypto.subtle.generateKey({ ...RSA, modulusLength: bits }, true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: `CN=${by?.name ?? name}`,
    publicKey: keys.publicKey,
    signingKey: (by?.keys ?? keys).privateKey,
    signingAlgorithm: RSA,
    notBefore: new Date(Date.now() + from),
    notAfter: new Date(Date.now() + until),
    extensions: [
      new BasicConstraintsExtension(ca, undefined, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      new KeyUsagesExtension(ca ? KeyUsageFlags.keyCertSign : KeyUsageFlags.digitalSignature, true),
      ...(names.length === 0
        ? []
        : [new SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns" as const, value })))]),
    ],
  });
  return { name, keys, pem: certificate.toString("pem") };
}

/** As Azure signs: content inside, no attributes, SHA-256, only the signer's certificate. */
const AS_AZURE = ["-nodetach", "-noattr", "-md", "sha256"];

/** PKCS #7 over the content, DER. `how`: options of `openssl cms -sign` in place of Azure's way. */
export async function signedData(
  content: string,
  signers: readonly Holder[],
  how: readonly string[] = AS_AZURE,
): Promise<Buffer> {
  const folder = mkdtempSync(join(tmpdir(), "reeve-attested-"));
  const at = (name: string): string => join(folder, name);
  try {
    writeFileSync(at("content"), content);
    const given = await Promise.all(
      signers.map(async ({ pem, keys }, nth) => {
        writeFileSync(at(`${nth}.pem`), pem);
        const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey as webcrypto.CryptoKey);
        writeFileSync(at(`${nth}.key`), PemConverter.encode(key, "PRIVATE KEY"));
        return ["-signer", at(`${nth}.pem`), "-inkey", at(`${nth}.key`)];
      }),
    );
    const out = ["-in", at("content"), "-outform", "DER", "-out", at("signed")];
    const done = await running("/usr/bin/openssl", "cms", "-sign", "-binary", ...given.flat(), ...how, ...out);
    if (done.code !== 0) throw new Error(done.stderr);
    return readFileSync(at("signed"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** MM/DD/YY HH:MM:SS -0000 */
function moment(ms: number): string {
  const [date = "", time = ""] = new Date(ms).toISOString().split("T");
  const [year = "", month, day] = date.split("-");
  return `${month}/${day}/${year.slice(2)} ${time.slice(0, 8)} -0000`;
}

/** What Azure's document says of a machine, in its own order. */
export function attested(
  nonce: string,
  subscription: string,
  vm: string,
  createdMs = Date.now(),
  expiresMs = createdMs + 6 * HOUR,
): string {
  return JSON.stringify({
    licenseType: "",
    nonce,
    plan: { name: "", product: "", publisher: "" },
    sku: "",
    subscriptionId: subscription,
    timeStamp: { createdOn: moment(createdMs), expiresOn: moment(expiresMs) },
    vmId: vm,
  });
}
