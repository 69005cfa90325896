import "reflect-metadata";
import type { X509Certificate } from "@peculiar/x509";
import { certificatesIn, isAuthority } from "../chain.ts";
import { CallFailed, type Errand, type Executed, type JudgedCertificateArgs } from "../provider.ts";
import type { GcpCalls, GcpContext } from "./call.ts";
import { endpointOf } from "./endpoints.ts";
import { googleClients } from "./lazy.ts";

/** One command's dealings with one CA pool. */
export type Issuing = {
  readonly context: GcpContext;
  readonly calls: GcpCalls;
  readonly args: JudgedCertificateArgs;
  readonly errand: Errand;
};
export type Chain = readonly [X509Certificate, ...X509Certificate[]];
type Reading = Pick<Issuing, "context" | "calls"> & { readonly authority: string };
/** The chains of a pool's authorities, each from the authority's own certificate up. */
export type CaPool = { readonly chains: readonly Chain[]; readonly subject: string };

/** Throws CallFailed: `missing`, `authority-…` when it cannot issue, else what kept it from being read. */
export async function readPool({ context, calls, authority }: Reading): Promise<CaPool> {
  const [{ caCerts }] = await calls.send("privateca", async (wire) =>
    (await googleClients())
      .authorityClient(endpointOf(context.gcp, "privateca"), wire)
      .fetchCaCerts({ caPool: authority }),
  );
  const chains = (caCerts ?? []).map(({ certificates }) => chainOf(certificates ?? []));
  if (chains.length === 0) throw new CallFailed("authority-empty", "the pool has no authority", "none");
  // Which of them signs, the pool decides: all together are what the certificate is asked of.
  return { chains, subject: [...new Set(chains.map(([own]) => own.subject))].sort().join("; ") };
}

function chainOf(texts: readonly string[]): Chain {
  const [own, ...above] = texts.flatMap(certificatesIn);
  if (own === undefined) throw new CallFailed("malformed", "an authority without a certificate", "none");
  if (!isAuthority([own, ...above]))
    throw new CallFailed("authority-chain", "its certificates are not a chain of authorities", "none");
  return [own, ...above];
}

/** What of an outcome is known as soon as a certificate is there. */
export type Done = Pick<Executed, "changed" | "certificate">;
