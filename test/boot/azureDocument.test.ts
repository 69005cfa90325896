/** A document that Azure itself signed, and the CAs that are known here. No key of ours is in it. */
import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certificatePem } from "../../agent/wire/x509.ts";
import { readDocument } from "../../control/proof/azureDocument.ts";
import { AZURE_PUBLIC, certificatesIn } from "../../control/proof/azurePlaces.ts";
import { casOf, isOfService, signerFault, signerNames } from "../../control/proof/azureSigner.ts";
import { running } from "../e2e/world.ts";
import vector from "./vectors/azure-attested.json";

const DOCUMENT = new Uint8Array(Buffer.from(vector.document, "base64"));
const SIGNED_AT = Date.parse("2026-07-28T13:24:00Z");
const { service, cas } = AZURE_PUBLIC;
const KNOWN = casOf(cas);

/** What is wrong with it; null when it is Azure's. */
function fault(der: Uint8Array, nowMs: number): string | null {
  const read = readDocument(der);
  if (typeof read === "string") return read;
  const names = signerNames(read.signer);
  if (names === null || !isOfService(names, service)) return "another's name";
  return signerFault(read.signer, KNOWN, nowMs);
}

test("what Azure's metadata service signed is read as that, and was valid when it was", () => {
  expect(readDocument(DOCUMENT)).toMatchObject({
    nonce: "20260728-192400",
    subscription: "8a205152-b25a-417f-a676-80465535a6c9",
    vm: vector.vm,
    createdMs: SIGNED_AT,
    expiresMs: SIGNED_AT + 6 * 3600_000,
  });
  expect(fault(DOCUMENT, SIGNED_AT)).toBeNull();
  expect(fault(DOCUMENT, Date.parse("2026-11-12T00:00:00Z"))).toContain("expired");
  expect(fault(DOCUMENT, Date.parse("2026-05-01T00:00:00Z"))).toContain("not yet valid");
});

test("no byte of it can be another", () => {
  const taken: number[] = [];
  // Every one outside the certificate, and one of twelve inside.
  const inside = (at: number): boolean => at > 370 && at < 2730 && at % 12 !== 0;
  for (let at = 0; at < DOCUMENT.length; at++) {
    if (inside(at)) continue;
    const changed = Uint8Array.from(DOCUMENT, (byte, index) => (index === at ? byte ^ 1 : byte));
    if (fault(changed, SIGNED_AT) === null) taken.push(at);
  }
  expect(taken).toEqual([]);
}, 300_000);

test("every CA that is known here is a root of Microsoft's or is signed by one, as OpenSSL finds too", async () => {
  const folder = mkdtempSync(join(tmpdir(), "reeve-cas-"));
  try {
    const certificates = cas.map((der) => new X509Certificate(Buffer.from(der)));
    const roots = certificates.filter((one) => one.checkIssued(one));
    expect(roots.map(({ fingerprint256 }) => fingerprint256.replaceAll(":", "").toLowerCase())).toEqual([
      "6a170583db584151e1c454eeca2a64cc5d8e484a5bd1156e720b4458654ee9e5",
      "c741f70f4b2a8d88bf2e71c14122ef53ef10eba0cfa5e64cfa20f418853073e0",
    ]);
    const file = join(folder, "roots.pem");
    writeFileSync(file, roots.map(({ raw }) => certificatePem(raw)).join(""));
    for (const [nth, { raw, subject }] of certificates.entries()) {
      const one = join(folder, `${nth}.pem`);
      writeFileSync(one, certificatePem(raw));
      const verified = await running("/usr/bin/openssl", "verify", "-CAfile", file, one);
      expect([subject, verified.stdout]).toEqual([subject, `${one}: OK\n`]);
    }
    expect(certificates.length).toBeGreaterThan(roots.length);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a file of CAs holds certificates and nothing else", () => {
  const [first, second] = cas.map(certificatePem);
  expect(certificatesIn(`${first}\n${second}`)).toEqual(cas.slice(0, 2));
  for (const text of ["", "x", `${first}x`, `${first}-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n`])
    expect(certificatesIn(text)).toBeNull();
  expect(certificatesIn("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")).toBeNull();
});
