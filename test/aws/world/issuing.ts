/** Signs certificates as AWS Private CA documents them, with a key of the world's own: templates, validity, algorithm. */
import "reflect-metadata";
import * as x509 from "@peculiar/x509";

export type KeyAlgorithm = "EC_prime256v1" | "RSA_2048";
const KEYS = {
  EC_prime256v1: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  RSA_2048: {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: "SHA-256",
  },
} as const;

/** A certificate authority whose key we hold: moto's own cannot be had, so its certificate is this one's. */
export type Issuer = {
  readonly algorithm: KeyAlgorithm;
  readonly keys: CryptoKeyPair;
  readonly certificate: x509.X509Certificate;
};

export const TEMPLATE = "arn:aws:acm-pca:::template/";
const SERVER = x509.ExtendedKeyUsage.serverAuth;
const CLIENT = x509.ExtendedKeyUsage.clientAuth;

type Template = { readonly usages: readonly string[]; readonly path: number | null; readonly passthrough: boolean };
/** "Certificate template definitions" of the user guide: the base end-entity ones, and those that reeve must never be allowed. */
const TEMPLATES: Readonly<Record<string, Template>> = {
  "EndEntityCertificate/V1": { usages: [SERVER, CLIENT], path: null, passthrough: false },
  "EndEntityServerAuthCertificate/V1": { usages: [SERVER], path: null, passthrough: false },
  "EndEntityClientAuthCertificate/V1": { usages: [CLIENT], path: null, passthrough: false },
  "CodeSigningCertificate/V1": { usages: [x509.ExtendedKeyUsage.codeSigning], path: null, passthrough: false },
  "BlankEndEntityCertificate_CSRPassthrough/V1": { usages: [], path: null, passthrough: true },
  "EndEntityCertificate_CSRPassthrough/V1": { usages: [SERVER, CLIENT], path: null, passthrough: true },
  "SubordinateCACertificate_PathLen0/V1": { usages: [], path: 0, passthrough: false },
  "SubordinateCACertificate_PathLen3/V1": { usages: [], path: 3, passthrough: false },
};

/** What comes back is not what was asked for: no documented behaviour, but what the agent has to notice all the same. */
export type Mistake =
  | "other-key"
  | "other-name"
  | "more-names"
  | "longer"
  | "already-over"
  | "other-usage"
  | "an-authority"
  | "other-issuer"
  | "no-chain";

export type Wish = {
  readonly csr: x509.Pkcs10CertificateRequest;
  readonly template: string;
  readonly signing: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
};

export function templateOf(arn: string): Template | null {
  return arn.startsWith(TEMPLATE) ? (TEMPLATES[arn.slice(TEMPLATE.length)] ?? null) : null;
}

/** WebCrypto's words for `SHA256WITHECDSA` and the like; null when the authority's key is of another family. */
export function signingOf(signing: string, key: KeyAlgorithm): { name: string; hash: string } | null {
  const [, bits, family] = /^SHA(256|384|512)WITH(ECDSA|RSA)$/.exec(signing) ?? [];
  if (bits === undefined || (family === "ECDSA") !== (key === "EC_prime256v1")) return null;
  return { name: KEYS[key].name, hash: `SHA-${bits}` };
}

function serial(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

export async function makeIssuer(algorithm: KeyAlgorithm, name: string, days = 3650): Promise<Issuer> {
  const keys = (await crypto.subtle.generateKey(KEYS[algorithm], true, ["sign", "verify"])) as CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name,
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + days * 86_400_000),
    signingAlgorithm: KEYS[algorithm],
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { algorithm, keys, certificate };
}

function altNames(csr: x509.Pkcs10CertificateRequest, more: readonly string[]): x509.Extension[] {
  const given = csr.extensions.find((one) => one instanceof x509.SubjectAlternativeNameExtension) ?? null;
  if (more.length === 0) return given === null ? [] : [given];
  const names = [...(given?.names.toJSON() ?? []), ...more.map((value) => ({ type: "dns" as const, value }))];
  return [new x509.SubjectAlternativeNameExtension(names, given?.critical ?? false)];
}

function basics({ usages, path }: Template, mistake: Mistake | null): x509.Extension[] {
  const authority = path !== null || mistake === "an-authority";
  const flags = authority
    ? x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature
    : x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment;
  const wanted = mistake === "other-usage" ? [x509.ExtendedKeyUsage.codeSigning] : [...usages];
  return [
    new x509.BasicConstraintsExtension(authority, path ?? undefined, true),
    new x509.KeyUsagesExtension(flags, true),
    ...(wanted.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension(wanted, false)]),
  ];
}

async function strangerKey(): Promise<x509.PublicKey> {
  const pair = (await crypto.subtle.generateKey(KEYS.EC_prime256v1, true, ["sign", "verify"])) as CryptoKeyPair;
  return x509.PublicKey.create(pair.publicKey);
}

/** The leaf, and the chain above it as AWS returns it: from the issuer up, without the leaf. */
export async function issue(
  issuer: Issuer,
  wish: Wish,
  mistake: Mistake | null,
): Promise<{ leaf: string; chain: string }> {
  const { csr, notBefore, notAfter } = wish;
  const template = templateOf(wish.template);
  const signing = signingOf(wish.signing, issuer.algorithm);
  if (template === null || signing === null) throw new Error("this cannot be issued");
  const by = mistake === "other-issuer" ? await makeIssuer(issuer.algorithm, issuer.certificate.subject) : issuer;
  const publicKey = mistake === "other-key" ? await strangerKey() : csr.publicKey;
  const ours = basics(template, mistake);
  const asked = template.passthrough ? csr.extensions.filter(({ type }) => ours.every((own) => own.type !== type)) : [];
  const names = mistake === "other-name" ? [] : altNames(csr, mistake === "more-names" ? ["more.example.org"] : []);
  const wrong = new x509.SubjectAlternativeNameExtension([{ type: "dns", value: "other.example.org" }]);
  const day = 86_400_000;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: csr.subject,
    issuer: by.certificate.subject,
    notBefore: mistake === "already-over" ? new Date(Date.now() - 9 * day) : notBefore,
    notAfter:
      mistake === "already-over"
        ? new Date(Date.now() - 8 * day)
        : mistake === "longer"
          ? new Date(notAfter.getTime() + day)
          : notAfter,
    signingAlgorithm: signing,
    publicKey,
    signingKey: by.keys.privateKey,
    extensions: [
      ...ours,
      await x509.AuthorityKeyIdentifierExtension.create(by.keys.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(await publicKey.export()),
      ...(mistake === "other-name" ? [wrong] : template.passthrough ? [] : names),
      ...asked,
    ],
  });
  return { leaf: certificate.toString("pem"), chain: mistake === "no-chain" ? "" : issuer.certificate.toString("pem") };
}
