import "reflect-metadata";
import type { Certificate } from "@google-cloud/security-private-ca/build/src/v1/certificate_authority_service_client.js";
import { Pkcs10CertificateRequest, type X509Certificate } from "@peculiar/x509";
import { keyTypeOf } from "../../agent/wire/csr.ts";
import { certificatesIn, decoded, sameChain } from "../chain.ts";
import { type Fault, faultOf } from "../issued.ts";
import { CallFailed, type JudgedCertificateArgs } from "../provider.ts";
import type { CaPool, Issuing } from "./authority.ts";
import { endpointOf } from "./endpoints.ts";
import { googleClients } from "./lazy.ts";

/**
 * What is to be signed, said field by field, because a certificate request cannot say usages: the judged request's own public key, its subject,
 * the names that were judged, the usages that were asked, and that it is no authority. Nothing else.
 */
export function configOf({ csrDer, names, usages }: JudgedCertificateArgs): object {
  if (usages.length === 0) throw new Error("a certificate without a usage was judged");
  const request = new Pkcs10CertificateRequest(new Uint8Array(csrDer));
  const [commonName] = request.subjectName.getField("CN");
  const rsa = keyTypeOf(new Uint8Array(request.publicKey.rawData)).startsWith("RSA");
  return {
    publicKey: { format: "PEM", key: Buffer.from(request.publicKey.toString("pem")) },
    subjectConfig: {
      subject: commonName === undefined ? {} : { commonName },
      subjectAltName: { dnsNames: [...names] },
    },
    x509Config: {
      caOptions: { isCa: false },
      keyUsage: {
        // RFC 5480 section 3: an elliptic curve's key enciphers no key.
        baseKeyUsage: { digitalSignature: true, ...(rsa ? { keyEncipherment: true } : {}) },
        extendedKeyUsage: {
          ...(usages.includes("server") ? { serverAuth: true } : {}),
          ...(usages.includes("client") ? { clientAuth: true } : {}),
        },
      },
    },
  };
}

/** Asks for the certificate, once however often it is sent: the command's id is its name and the request's. Throws CallFailed, Halted. */
export async function request({ context, calls, args, errand }: Issuing): Promise<Certificate> {
  const config = configOf(args);
  // RFC 5280 counts the last second too, and Google does not say whether its lifetime does.
  const lifetime = { seconds: args.validity - 1 };
  const [found] = await calls.send("privateca", async (wire) =>
    (await googleClients()).authorityClient(endpointOf(context.gcp, "privateca"), wire).createCertificate({
      parent: args.authority,
      certificateId: errand.id,
      requestId: errand.id,
      certificate: { config, lifetime },
    }),
  );
  return named(found, nameOf(args, errand.id), "unknown");
}

/** The certificate that this command was given; null when there is none. Throws CallFailed. */
export async function find({ context, calls, args, errand }: Issuing): Promise<Certificate | null> {
  const name = nameOf(args, errand.id);
  try {
    const [found] = await calls.send("privateca", async (wire) =>
      (await googleClients()).authorityClient(endpointOf(context.gcp, "privateca"), wire).getCertificate({ name }),
    );
    return named(found, name, "none");
  } catch (error) {
    if (error instanceof CallFailed && error.status === "missing") return null;
    throw error;
  }
}

export function nameOf({ authority }: JudgedCertificateArgs, id: string): string {
  return `${authority}/certificates/${id}`;
}

function named(found: Certificate, name: string, effect: "none" | "unknown"): Certificate {
  if (found.name === name) return found;
  throw new CallFailed("malformed", "its answer is of another certificate", effect);
}

export type Issued = {
  readonly leaf: X509Certificate;
  /** From the authority up. */
  readonly above: readonly X509Certificate[];
  /** What about it is not as it was judged and asked for; null when all is. */
  readonly fault: Fault | null;
};

/** Of a certificate that says no times. */
const NEVER = { from: 0, until: 0 };

/** Throws CallFailed `certificate-…` for what is no certificate. */
export function issuedOf(found: Certificate, pool: CaPool, args: JudgedCertificateArgs): Issued {
  const [leaf, ...more] = certificatesIn(found.pemCertificate ?? "");
  if (leaf === undefined || more.length > 0)
    throw new CallFailed("certificate-unreadable", "it is not one certificate", "none");
  const above = (found.pemCertificateChain ?? []).flatMap(certificatesIn);
  const chain = pool.chains.find((one) => sameChain(one, above));
  // An authority's end may make it shorter than was asked: never longer.
  const { from, until } = decoded(
    () => ({ from: leaf.notBefore.getTime() / 1000, until: leaf.notAfter.getTime() / 1000 }),
    NEVER,
  );
  const inTime = until > from && until - from + 1 <= args.validity;
  const other =
    chain === undefined ? "issued-other-chain" : faultOf(leaf, above, { args, chain, validity: { from, until } });
  return { leaf, above, fault: other ?? (inTime ? null : "issued-other-validity") };
}
