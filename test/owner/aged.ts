import "reflect-metadata";
import { Database } from "bun:sqlite";
import { createPrivateKey, createPublicKey, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { issuerOf } from "../../control/certificates.ts";
import type { World } from "../e2e/world.ts";

const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const HOUR_MS = 3_600_000;
type Kept = { current: { key: string; chain: string[] }; next: null; epoch: number };

/**
 * Makes a stopped agent's certificate one of twenty hours ago, on both sides, so that its renewal is due: the same key, by the root in `root`
 * and `key` (PEM files), and good for four more hours.
 */
export async function age(w: World, root: string, key: string): Promise<void> {
  const file = join(w.state, "identity/agent.json");
  const kept = JSON.parse(readFileSync(file, "utf8")) as Kept;
  const issuer = await issuerOf(readFileSync(root, "utf8"), readFileSync(key, "utf8"));
  const spki = createPublicKey(createPrivateKey(kept.current.key)).export({ type: "spki", format: "der" });
  const publicKey = await crypto.subtle.importKey("spki", new Uint8Array(spki), ECDSA, true, ["verify"]);
  const serial = `4${randomBytes(16).toString("hex").slice(1)}`;
  const notAfter = Date.now() + 4 * HOUR_MS;
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: serial,
    subject: "CN=reeve agent",
    issuer: issuer.certificate.subject,
    notBefore: new Date(Date.now() - 20 * HOUR_MS),
    notAfter: new Date(notAfter),
    signingAlgorithm: ECDSA,
    publicKey,
    signingKey: issuer.key,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(["1.3.6.1.5.5.7.3.2"]),
      new x509.SubjectAlternativeNameExtension([
        { type: "url", value: "spiffe://vendor.example/cluster/prod-eu-1/agent" },
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.certificate),
    ],
  });
  const chain = [leaf.rawData, issuer.certificate.rawData].map((der) => Buffer.from(der).toString("base64"));
  writeFileSync(file, `${JSON.stringify({ ...kept, current: { ...kept.current, chain } })}\n`, { mode: 0o600 });
  const state = new Database(join(w.data, "state.db"));
  state.run("pragma busy_timeout = 5000");
  state.run("update certificates set serial = ?, chain = ?, not_after = ? where epoch = ? and slot = 'current'", [
    serial,
    JSON.stringify(chain),
    Math.floor(notAfter / 1000),
    kept.epoch,
  ]);
  state.close();
}
