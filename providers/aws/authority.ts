import "reflect-metadata";
import {
  DescribeCertificateAuthorityCommand,
  GetCertificateAuthorityCertificateCommand,
  type SigningAlgorithm,
} from "@aws-sdk/client-acm-pca";
import type { X509Certificate } from "@peculiar/x509";
import { certificatesIn, isAuthority } from "../chain.ts";
import { CallFailed } from "../provider.ts";
import type { AwsCalls } from "./call.ts";

/** A private CA that can issue now. */
export type CertificateAuthority = {
  /** Its own certificate, then those above it. */
  readonly chain: readonly [X509Certificate, ...X509Certificate[]];
  readonly signing: SigningAlgorithm;
};

/** The family must be the CA's own key's; the digest is as strong as the key. */
const SIGNING: Readonly<Record<string, SigningAlgorithm>> = {
  RSA_2048: "SHA256WITHRSA",
  RSA_3072: "SHA256WITHRSA",
  RSA_4096: "SHA256WITHRSA",
  EC_prime256v1: "SHA256WITHECDSA",
  EC_secp384r1: "SHA384WITHECDSA",
  EC_secp521r1: "SHA512WITHECDSA",
};

/** Throws CallFailed: `missing`, `authority-…` when it cannot issue, else what kept it from being read. */
export async function readAuthority(calls: AwsCalls, arn: string): Promise<CertificateAuthority> {
  const input = { CertificateAuthorityArn: arn };
  const { CertificateAuthority: found = {} } = await calls.send("acm-pca", (client) =>
    client.send(new DescribeCertificateAuthorityCommand(input)),
  );
  if (found.Arn !== arn) throw new CallFailed("malformed", "what was described is another authority", "none");
  if (found.Status !== "ACTIVE") throw unusable(found.Status ?? "");
  const algorithm = found.CertificateAuthorityConfiguration?.KeyAlgorithm ?? "";
  const signing = Object.hasOwn(SIGNING, algorithm) ? SIGNING[algorithm] : undefined;
  if (signing === undefined) throw new CallFailed("authority-key", `its key is of the type ${algorithm}`, "none");
  const answer = await calls.send("acm-pca", (client) =>
    client.send(new GetCertificateAuthorityCertificateCommand(input)),
  );
  const [own, ...more] = certificatesIn(answer.Certificate ?? "");
  const above = certificatesIn(answer.CertificateChain ?? "");
  if (own === undefined || more.length > 0) throw new CallFailed("malformed", "not one certificate of its own", "none");
  if (!isAuthority([own, ...above]))
    throw new CallFailed("authority-chain", "its certificates are not a chain of authorities", "none");
  return { chain: [own, ...above], signing };
}

/** AWS's word for its state: authority-disabled, authority-pending-certificate, authority-deleted, … */
function unusable(state: string): CallFailed {
  const word = /^[A-Z_]{1,32}$/.test(state) ? state.toLowerCase().replaceAll("_", "-") : "unusable";
  return new CallFailed(`authority-${word}`, `the authority's state: ${state}`, "none");
}
