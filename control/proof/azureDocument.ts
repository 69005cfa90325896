import "reflect-metadata";
import { createPublicKey, X509Certificate as NodeCertificate, verify } from "node:crypto";
import { ContentInfo, SignedData, type SignerInfo } from "@peculiar/asn1-cms";
import { AsnConvert } from "@peculiar/asn1-schema";
import type { Certificate } from "@peculiar/asn1-x509";
import { z } from "zod";
import { isStrictDer } from "../../agent/wire/der.ts";
import { decodeUtf8 } from "../../agent/wire/jws.ts";
import { jsonOf } from "../json.ts";

/** What an attested document says, and the certificate (DER) of the key that signed it. That certificate is not judged yet. */
export type Attested = {
  readonly nonce: string;
  readonly subscription: string;
  readonly vm: string;
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly signer: Uint8Array;
};

const SIGNED_DATA = "1.2.840.113549.1.7.2";
const DATA = "1.2.840.113549.1.7.1";
/** SHA-256: Azure names it by the signature's algorithm where the digest's belongs. */
const DIGEST = new Set(["2.16.840.1.101.3.4.2.1", "1.2.840.113549.1.1.11"]);
/** RSA with PKCS #1 v1.5, without and with the digest's name. */
const SIGNATURE = new Set(["1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11"]);
const MIN_RSA_BITS = 2048;
const MAX_CERTIFICATES = 4;

const Guid = z
  .string()
  .regex(/^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/)
  .toLowerCase();
/** MM/DD/YY HH:MM:SS -0000, in UTC. */
const Moment = z.string().regex(/^\d\d\/\d\d\/\d\d \d\d:\d\d:\d\d [+-]0000$/);
/** "Azure Instance Metadata Service", attested data. What is not used is let be. */
const Content = z.object({
  nonce: z.string().max(64),
  subscriptionId: Guid,
  vmId: Guid,
  timeStamp: z.object({ createdOn: Moment, expiresOn: Moment }),
});

/**
 * Reads an attested document: PKCS #7 signed data (RFC 5652) as Azure makes it, and in no other form. Its content is inside, has one signer, is
 * signed itself (no attributes are signed in its stead), and is what that signer's key signed. A string says what it is instead.
 */
export function readDocument(der: Uint8Array): Attested | string {
  const read = signedDataIn(der);
  if (read === null) return "its document is not PKCS #7 signed data in DER";
  const content = read.encapContentInfo.eContent?.single?.buffer;
  if (read.encapContentInfo.eContentType !== DATA || content === undefined)
    return "its document's content is not inside";
  const [signer, ...others] = read.signerInfos;
  if (signer === undefined || others.length > 0) return "its document has not one signer";
  if (!isPlain(read, signer)) return "its document is signed in another way than Azure signs";
  const certificate = certificateOf(read, signer);
  if (certificate === null) return "its document does not hold its signer's certificate";
  const bytes = new Uint8Array(content);
  if (!isSignedBy(bytes, new Uint8Array(signer.signature.buffer), certificate))
    return "its document's signature is wrong";
  const said = Content.safeParse(jsonOf(decodeUtf8(bytes) ?? ""));
  if (!said.success) return "its document does not say which machine it is of";
  const { nonce, subscriptionId: subscription, vmId: vm, timeStamp } = said.data;
  const times = { createdMs: momentMs(timeStamp.createdOn), expiresMs: momentMs(timeStamp.expiresOn) };
  return { nonce, subscription, vm, ...times, signer: certificate };
}

/** Read, and written again the same: nothing stands in it that was passed over. */
function signedDataIn(der: Uint8Array): SignedData | null {
  if (!isStrictDer(der)) return null;
  try {
    const info = AsnConvert.parse(der, ContentInfo);
    if (info.contentType !== SIGNED_DATA) return null;
    const data = AsnConvert.parse(info.content, SignedData);
    info.content = AsnConvert.serialize(data);
    return Buffer.compare(Buffer.from(AsnConvert.serialize(info)), der) === 0 ? data : null;
  } catch {
    // Whatever the reader stumbled over, these bytes are no signed data.
    return null;
  }
}

function isPlain(data: SignedData, signer: SignerInfo): boolean {
  const digests = [...data.digestAlgorithms, signer.digestAlgorithm];
  return (
    Number(data.version) === 1 &&
    Number(signer.version) === 1 &&
    data.digestAlgorithms.length === 1 &&
    // None of these has parameters (RFC 3370 sections 2 and 3.2, RFC 5754 section 2).
    [...digests, signer.signatureAlgorithm].every(({ parameters }) => (parameters ?? null) === null) &&
    digests.every(({ algorithm }) => DIGEST.has(algorithm)) &&
    SIGNATURE.has(signer.signatureAlgorithm.algorithm) &&
    data.crls === undefined &&
    signer.signedAttrs === undefined &&
    signer.unsignedAttrs === undefined
  );
}

/** The one certificate that the signer names by its issuer and serial number, DER. */
function certificateOf({ certificates }: SignedData, { sid }: SignerInfo): Uint8Array | null {
  const named = sid.issuerAndSerialNumber;
  if (named === undefined || certificates === undefined || certificates.length > MAX_CERTIFICATES) return null;
  const issuer = Buffer.from(AsnConvert.serialize(named.issuer));
  const isNamed = ({ tbsCertificate }: Certificate): boolean =>
    Buffer.compare(Buffer.from(AsnConvert.serialize(tbsCertificate.issuer)), issuer) === 0 &&
    Buffer.compare(Buffer.from(tbsCertificate.serialNumber), Buffer.from(named.serialNumber)) === 0;
  const found = certificates.flatMap(({ certificate }) =>
    certificate !== undefined && isNamed(certificate) ? [certificate] : [],
  );
  const [only] = found;
  return only === undefined || found.length > 1 ? null : new Uint8Array(AsnConvert.serialize(only));
}

function isSignedBy(content: Uint8Array, signature: Uint8Array, certificate: Uint8Array): boolean {
  try {
    const key = createPublicKey(
      new NodeCertificate(Buffer.from(certificate)).publicKey.export({ type: "spki", format: "pem" }),
    );
    const strong = key.asymmetricKeyType === "rsa" && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= MIN_RSA_BITS;
    return strong && verify("sha256", content, key, signature);
  } catch {
    // No certificate, or no key that can sign.
    return false;
  }
}

function momentMs(text: string): number {
  const [month = 0, day = 0, year = 0, hour = 0, minute = 0, second = 0] = (text.match(/\d\d/g) ?? []).map(Number);
  return Date.UTC(2000 + year, month - 1, day, hour, minute, second);
}
