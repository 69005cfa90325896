import "reflect-metadata";
import { createHash } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { USAGES } from "./issued.ts";
import { CallFailed, type JudgedCertificateArgs } from "./provider.ts";

/** Certificates that the agent itself puts together, for an authority whose key only signs. */

/** As many as an intent holds: reconcile compares with all of them. */
const MAX_NAMES = 64;

/** 16 bytes, positive (RFC 5280 section 4.1.2.2): one command has one serial, so it is issued once. Lower-case hex. */
export function serialOf(id: string): string {
  const bytes = createHash("sha256").update(id).digest().subarray(0, 16);
  bytes.writeUInt8(bytes.readUInt8(0) & 0x7f, 0);
  return bytes.toString("hex");
}

/** The request that was judged. Throws CallFailed for one that no certificate is made for. */
export async function requestOf({ csrDer, names }: JudgedCertificateArgs): Promise<Pkcs10CertificateRequest> {
  const request = new Pkcs10CertificateRequest(new Uint8Array(csrDer));
  if (!(await request.verify()))
    throw new CallFailed("csr-signature", "the request is not signed by its own key", "none");
  const parts = request.subjectName.toJSON();
  const onlyCn = parts.length === 1 && Object.keys(parts[0] ?? {}).join() === "CN";
  if (parts.length > 0 && !onlyCn)
    throw new CallFailed("csr-subject", "the subject is neither empty nor one common name", "none");
  if (names.length === 0 || names.length > MAX_NAMES)
    throw new CallFailed("csr-names", `the request names none or more than ${MAX_NAMES}`, "none");
  return request;
}

type Leaf = {
  readonly args: JudgedCertificateArgs;
  readonly request: Pkcs10CertificateRequest;
  readonly serial: string;
  readonly issuer: X509Certificate;
  readonly notBefore: X509Certificate["notBefore"];
  readonly notAfter: X509Certificate["notAfter"];
  readonly key: CryptoKey;
  readonly algorithm: NonNullable<Parameters<typeof X509CertificateGenerator.create>[0]["signingAlgorithm"]>;
};

/** The request's key and subject, with the names and usages that were judged and no other: an end entity that signs no certificate. */
export async function leafOf({
  args,
  request,
  serial,
  issuer,
  key,
  algorithm,
  notBefore,
  notAfter,
}: Leaf): Promise<X509Certificate> {
  return X509CertificateGenerator.create({
    serialNumber: serial,
    subject: request.subjectName,
    issuer: issuer.subjectName,
    notBefore,
    notAfter,
    signingKey: key,
    signingAlgorithm: algorithm,
    publicKey: request.publicKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension(args.usages.map((usage) => USAGES[usage])),
      // RFC 5280 section 4.2.1.6: critical when the subject is empty.
      new SubjectAlternativeNameExtension(
        args.names.map((value) => ({ type: "dns" as const, value })),
        request.subject === "",
      ),
      await SubjectKeyIdentifierExtension.create(request.publicKey),
      await authorityKeyId(issuer),
    ],
  });
}

/** The CA's own key identifier where it says one: chains are built by comparing the two. */
async function authorityKeyId(ca: X509Certificate): Promise<AuthorityKeyIdentifierExtension> {
  const own = ca.getExtension(SubjectKeyIdentifierExtension);
  if (own === null) return AuthorityKeyIdentifierExtension.create(ca.publicKey);
  return new AuthorityKeyIdentifierExtension(own.keyId);
}
