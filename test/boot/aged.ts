import "reflect-metadata";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { issuerOf } from "../../control/certificates.ts";
import type { Store } from "../../control/store.ts";

const DAY_MS = 86_400_000;

/**
 * A machine's certificate becomes one that ended at `endedMs` (milliseconds since 1970), for both sides: a leaf of the same key by the same root.
 * `dir`: the control plane's; `identity`: the machine's folder.
 */
export async function age(
  { dir, store }: { dir: string; store: Store },
  cluster: string,
  identity: string,
  endedMs: number,
): Promise<void> {
  const file = `${identity}/agent.json`;
  const stored = JSON.parse(readFileSync(file, "utf8")) as { epoch: number; current: { chain: string[] } };
  const issuer = await issuerOf(
    readFileSync(join(dir, "ca/root.pem"), "utf8"),
    readFileSync(join(dir, "ca/root.key"), "utf8"),
  );
  const leaf = new x509.X509Certificate(Buffer.from(stored.current.chain[0] ?? "", "base64"));
  const aged = await x509.X509CertificateGenerator.create({
    serialNumber: leaf.serialNumber,
    subject: leaf.subject,
    issuer: issuer.certificate.subject,
    notBefore: new Date(endedMs - DAY_MS),
    notAfter: new Date(endedMs),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    publicKey: await leaf.publicKey.export(),
    signingKey: issuer.key,
    extensions: leaf.extensions,
  });
  const chain = [Buffer.from(aged.rawData).toString("base64"), stored.current.chain[1] ?? ""];
  writeFileSync(file, JSON.stringify({ ...stored, current: { ...stored.current, chain } }));
  await store.transaction((sql) =>
    sql.run(
      "update certificates set chain = $1, not_after = $2 where cluster = $3 and epoch = $4",
      JSON.stringify(chain),
      Math.floor(endedMs / 1000),
      cluster,
      stored.epoch,
    ),
  );
}
