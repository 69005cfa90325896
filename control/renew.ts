import { verify, X509Certificate } from "node:crypto";
import type { z } from "zod";
import { CERTIFICATE_GRACE_SECONDS } from "../agent/limits.ts";
import { spiffeId } from "../agent/wire/names.ts";
import type { GraceRenewRequest, RenewAnswer } from "../agent/wire/protocol.ts";
import { copied, copiesOf, fenceCopies } from "./copies.ts";
import { readAgentCsr } from "./csr.ts";
import type { Plane } from "./enrol.ts";
import { Faulted } from "./fault.ts";
import { isAfter } from "./moment.ts";
import type { Nonces } from "./nonces.ts";
import { becomeCurrent, type CertificateRow, clusterOf, fenced, findCertificate, type Peer, retire } from "./peer.ts";
import { nowSeconds, readCluster, type Sql } from "./store.ts";

/**
 * A certificate for a new key, into the second slot. Asked again with the same key while that one is pending, the answer is the same.
 * Throws Faulted: csr-invalid.
 */
export async function renew(
  plane: Plane,
  sql: Sql,
  peer: Pick<Peer, "cluster" | "epoch">,
  csr: string,
): Promise<z.infer<typeof RenewAnswer>> {
  const id = spiffeId(plane.trustDomain, peer.cluster);
  const request = await readAgentCsr(csr, id);
  if (typeof request === "string") throw new Faulted("csr-invalid", `the certificate request is refused: ${request}`);
  const slots = await sql.rows<CertificateRow>(
    "select * from certificates where cluster = $1 and epoch = $2",
    peer.cluster,
    peer.epoch,
  );
  const known = slots.find((row) => row.spki === request.spkiSha256);
  if (known?.slot === "pending") return { chain: JSON.parse(known.chain) as string[] };
  if (known !== undefined)
    throw new Faulted("csr-invalid", "a renewal brings a new key, and this one has had a certificate");
  const issued = await plane.authority.issue(id, request.spki);
  // Another pending one was never used, and now never will be.
  await retire(sql, peer, "pending");
  await sql.run(
    "insert into certificates (serial, cluster, epoch, slot, spki, chain, not_after) values ($1, $2, $3, 'pending', $4, $5, $6)",
    issued.serial,
    peer.cluster,
    peer.epoch,
    request.spkiSha256,
    JSON.stringify(issued.chain),
    issued.notAfter,
  );
  return { chain: [...issued.chain] };
}

/**
 * Renews for an agent whose certificate expired at most CERTIFICATE_GRACE_SECONDS ago, on the enrolment listener: the newest slot
 * of the current epoch, and proof of its key over a fresh nonce, which is a pending certificate's first use. One that a newer one had
 * replaced is a copy's, and both are fenced. Throws Faulted: malformed (nonce), certificate, fenced, expired (nothing else is wrong with
 * it), csr-invalid.
 */
export async function renewInGrace(
  plane: Plane,
  nonces: Nonces,
  request: z.infer<typeof GraceRenewRequest>,
): Promise<z.infer<typeof RenewAnswer>> {
  const leaf = readCertificate(request.chain[0] ?? "");
  if (leaf === null) throw new Faulted("malformed", "the chain holds no certificate");
  const signed = Buffer.from(`reeve-renew\n${request.nonce}\n${request.csr}`);
  const signature = Buffer.from(request.signature, "base64url");
  if (
    signature.length !== 64 ||
    !verify("sha256", signed, { key: leaf.publicKey, dsaEncoding: "ieee-p1363" }, signature)
  )
    throw new Faulted("certificate", "the signature is not by the certificate's key");
  if (!(await nonces.use(request.nonce))) throw new Faulted("malformed", "the nonce is not one of ours, or not fresh");
  const result = await plane.store.transaction(async (sql) => {
    const row = await findCertificate(sql, leaf.serialNumber.toLowerCase(), leaf.raw.toString("base64"));
    if (row === null) throw new Faulted("certificate", "this certificate is not known here");
    const cluster = await readCluster(sql, row.cluster);
    if (cluster?.epoch !== row.epoch) throw fenced(row.epoch, cluster);
    const why = await copiesOf(sql, row);
    if (why !== null) throw copied(row.epoch, why);
    // Who signed it has lived since the nonce was made. It may come late: only when a newer certificate was used before that it is a copy's.
    if (row.slot === "old" && row.used_at !== null && (await wasRetiredBefore(sql, row, nonces.madeAt(request.nonce))))
      return fenceCopies(sql, row, "a certificate that a newer one had replaced was shown again");
    if (row.slot === "old") throw new Faulted("certificate", "this certificate is not the current one");
    if (row.not_after + CERTIFICATE_GRACE_SECONDS < nowSeconds())
      throw new Faulted("expired", "this certificate expired more than 7 days ago");
    if (row.slot === "pending") {
      await becomeCurrent(sql, row);
      await sql.run("update certificates set used_at = $1 where serial = $2", nowSeconds(), row.serial);
    }
    return renew(plane, sql, row, request.csr);
  }, clusterOf(leaf.serialNumber.toLowerCase()));
  // Kept, then thrown.
  if (result instanceof Faulted) throw result;
  return result;
}

async function wasRetiredBefore(sql: Sql, { serial }: CertificateRow, made: number): Promise<boolean> {
  const [row] = await sql.rows<{ at: string }>("select at from retired_certificates where serial = $1", serial);
  return row !== undefined && isAfter(made, row.at);
}

/** Null for bytes that are no certificate with a P-256 key: every one of ours has one. */
function readCertificate(base64: string): X509Certificate | null {
  try {
    const certificate = new X509Certificate(Buffer.from(base64, "base64"));
    return certificate.publicKey.asymmetricKeyDetails?.namedCurve === "prime256v1" ? certificate : null;
  } catch {
    return null;
  }
}
