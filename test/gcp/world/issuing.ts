/** Signs certificates as Certificate Authority Service describes them: by a CertificateConfig, with a key of the world's own. */
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import type { Structure } from "./discovery.ts";

const EC = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

export type Issuer = { readonly keys: CryptoKeyPair; readonly certificate: x509.X509Certificate };

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
  | "other-subject"
  | "no-chain";

function serial(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

export async function makeIssuer(name: string, days: number): Promise<Issuer> {
  const keys = (await crypto.subtle.generateKey(EC, true, ["sign", "verify"])) as CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + days * 86_400_000),
    signingAlgorithm: EC,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { keys, certificate };
}

const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>((inner, field) => (inner as Structure | undefined)?.[field], value);

const BASE: Readonly<Record<string, number>> = {
  digitalSignature: x509.KeyUsageFlags.digitalSignature,
  contentCommitment: x509.KeyUsageFlags.nonRepudiation,
  keyEncipherment: x509.KeyUsageFlags.keyEncipherment,
  dataEncipherment: x509.KeyUsageFlags.dataEncipherment,
  keyAgreement: x509.KeyUsageFlags.keyAgreement,
  certSign: x509.KeyUsageFlags.keyCertSign,
  crlSign: x509.KeyUsageFlags.cRLSign,
};
const EXTENDED: Readonly<Record<string, string>> = {
  serverAuth: x509.ExtendedKeyUsage.serverAuth,
  clientAuth: x509.ExtendedKeyUsage.clientAuth,
  codeSigning: x509.ExtendedKeyUsage.codeSigning,
};
const chosen = <T>(options: unknown, known: Readonly<Record<string, T>>): readonly T[] =>
  Object.entries((options ?? {}) as Structure).flatMap(([name, on]) =>
    on === true && known[name] !== undefined ? [known[name]] : [],
  );

function extensionsOf(config: Structure, mistake: Mistake | null): x509.Extension[] {
  const isCa = at(config, "x509Config", "caOptions", "isCa") === true || mistake === "an-authority";
  const base = chosen(at(config, "x509Config", "keyUsage", "baseKeyUsage"), BASE).reduce((sum, flag) => sum | flag, 0);
  const flags = isCa ? base | x509.KeyUsageFlags.keyCertSign : base;
  const usages =
    mistake === "other-usage"
      ? [EXTENDED["codeSigning"] ?? ""]
      : chosen(at(config, "x509Config", "keyUsage", "extendedKeyUsage"), EXTENDED);
  const given = (at(config, "subjectConfig", "subjectAltName", "dnsNames") ?? []) as readonly string[];
  const names =
    mistake === "other-name"
      ? ["other.example.org"]
      : mistake === "more-names"
        ? [...given, "more.example.org"]
        : given;
  return [
    new x509.BasicConstraintsExtension(isCa, undefined, true),
    ...(flags === 0 ? [] : [new x509.KeyUsagesExtension(flags, true)]),
    ...(usages.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension([...usages], false)]),
    ...(names.length === 0
      ? []
      : [
          new x509.SubjectAlternativeNameExtension(
            names.map((value) => ({ type: "dns" as const, value })),
            false,
          ),
        ]),
  ];
}

async function strangerKey(): Promise<x509.PublicKey> {
  const pair = (await crypto.subtle.generateKey(EC, true, ["sign", "verify"])) as CryptoKeyPair;
  return x509.PublicKey.create(pair.publicKey);
}

/** Throws RangeError where Google would answer INVALID_ARGUMENT. `pem_certificate_chain` goes from the issuer up to the root. */
export async function issue(issuer: Issuer, config: Structure, seconds: number, mistake: Mistake | null) {
  const pem = Buffer.from(String(at(config, "publicKey", "key") ?? ""), "base64").toString("utf8");
  if (!/^-----BEGIN PUBLIC KEY-----/.test(pem))
    throw new RangeError("certificate.config.public_key is not a PEM public key");
  const by = mistake === "other-issuer" ? await makeIssuer("other", 30) : issuer;
  const publicKey = mistake === "other-key" ? await strangerKey() : new x509.PublicKey(pem);
  const commonName =
    mistake === "other-subject" ? "other.example.org" : at(config, "subjectConfig", "subject", "commonName");
  const from = Math.floor(Date.now() / 1000) * 1000 - (mistake === "already-over" ? 9 * 86_400_000 : 0);
  const until = Math.min(from + seconds * 1000 - 1000, issuer.certificate.notAfter.getTime());
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: typeof commonName === "string" && commonName !== "" ? `CN=${commonName}` : "",
    issuer: by.certificate.subject,
    notBefore: new Date(from),
    notAfter: new Date(mistake === "longer" ? until + 86_400_000 : until),
    signingAlgorithm: EC,
    publicKey,
    signingKey: by.keys.privateKey,
    extensions: [
      ...extensionsOf(config, mistake),
      await x509.AuthorityKeyIdentifierExtension.create(by.keys.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(await publicKey.export()),
    ],
  });
  return {
    leaf: `${certificate.toString("pem").trim()}\n`,
    chain: mistake === "no-chain" ? [] : [`${issuer.certificate.toString("pem").trim()}\n`],
  };
}
