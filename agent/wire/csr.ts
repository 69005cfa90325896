import "reflect-metadata";
import { createPublicKey } from "node:crypto";
import {
  BasicConstraintsExtension,
  type Extension,
  ExtensionsAttribute,
  type Name,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
} from "@peculiar/x509";
import type { CsrFacts, SubjectAltName } from "../../policy/asked.ts";
import { MAX_CSR_BYTES } from "../limits.ts";
import { isStrictDer } from "./der.ts";

const EXTENSION_REQUEST = "1.2.840.113549.1.9.14"; // RFC 2985 section 5.4.2
const SUBJECT_ALT_NAME = "2.5.29.17";
const BASIC_CONSTRAINTS = "2.5.29.19";

/**
 * The facts of a PKCS #10 request (RFC 2986), or null when it cannot be read in one way only: not strict DER, bytes after it,
 * an attribute other than one extensionRequest with one value, an extension that stands twice. Never throws on bad input.
 * Source: anyone; nothing in it is trusted, `signatureValid` says whether its key signed it.
 */
export async function readCsr(der: Uint8Array): Promise<CsrFacts | null> {
  if (der.length > MAX_CSR_BYTES || !isStrictDer(der)) return null;
  try {
    const request = new Pkcs10CertificateRequest(new Uint8Array(der));
    const extensions = requestedExtensions(request);
    if (extensions === null) return null;
    return {
      signatureValid: await request.verify().catch(() => false),
      subject: request.subject,
      commonName: onlyCommonName(request.subjectName),
      sans: subjectAltNames(extensions),
      keyType: keyTypeOf(new Uint8Array(request.publicKey.rawData)),
      extensions: extensions.map((extension) => extension.type).filter((oid) => oid !== SUBJECT_ALT_NAME),
      wantsCa: wantsCa(extensions),
    };
  } catch {
    // The library throws on what is not PKCS #10; for the policy that is one fact: unreadable.
    return null;
  }
}

function requestedExtensions(request: Pkcs10CertificateRequest): readonly Extension[] | null {
  const [attribute, ...others] = request.attributes;
  if (attribute === undefined) return [];
  if (others.length > 0 || attribute.type !== EXTENSION_REQUEST || attribute.values.length !== 1) return null;
  if (!(attribute instanceof ExtensionsAttribute)) return null;
  const oids = attribute.items.map((extension) => extension.type);
  if (new Set(oids).size !== oids.length) return null;
  return attribute.items.every((extension) => isStrictDer(new Uint8Array(extension.value))) ? attribute.items : null;
}

function subjectAltNames(extensions: readonly Extension[]): SubjectAltName[] {
  const found = extensions.find((extension) => extension.type === SUBJECT_ALT_NAME);
  if (found === undefined) return [];
  if (!(found instanceof SubjectAlternativeNameExtension)) throw new TypeError("subjectAltName of an unknown form");
  return found.names.items.map((name) => ({ type: name.type, value: name.value }));
}

function wantsCa(extensions: readonly Extension[]): boolean {
  const found = extensions.find((extension) => extension.type === BASIC_CONSTRAINTS);
  if (found === undefined) return false;
  // What cannot be read as "not a CA" counts as asking to be one.
  return !(found instanceof BasicConstraintsExtension) || found.ca;
}

function onlyCommonName(name: Name): string | null {
  const [rdn, ...others] = name.toJSON();
  if (rdn === undefined || others.length > 0) return null;
  const types = Object.keys(rdn);
  const values = rdn["CN"];
  return types.length === 1 && values?.length === 1 ? (values[0] ?? null) : null;
}

const CURVES: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };

/** "P-256", "RSA-2048", "Ed25519", …; another algorithm's own name for the rest. Throws on what is not a public key. */
export function keyTypeOf(spki: Uint8Array): string {
  const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "ec":
      return CURVES[namedCurve ?? ""] ?? `EC-${namedCurve}`;
    case "rsa":
      return `RSA-${modulusLength}`;
    case "ed25519":
      return "Ed25519";
    default:
      return `other-${key.asymmetricKeyType}`;
  }
}

const PEM_REQUEST =
  /^-----BEGIN CERTIFICATE REQUEST-----\n((?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{1,64}={0,2}\n)-----END CERTIFICATE REQUEST-----\n?$/;

/** The DER of a text that is exactly one PEM block (RFC 7468, strict form, LF) of a request; null for anything else. */
export function csrFromPem(text: string): Uint8Array | null {
  if (text.length > 2 * MAX_CSR_BYTES) return null;
  const base64 = PEM_REQUEST.exec(text)?.[1]?.replaceAll("\n", "");
  if (base64 === undefined) return null;
  const der = Buffer.from(base64, "base64");
  return der.toString("base64") === base64 ? new Uint8Array(der) : null;
}
