import { GetCertificateCommand, IssueCertificateCommand } from "@aws-sdk/client-acm-pca";
import type { X509Certificate } from "@peculiar/x509";
import type { Usage } from "../../policy/asked.ts";
import { certificatesIn } from "../chain.ts";
import type { Validity } from "../issued.ts";
import { failed, unknown } from "../outcome.ts";
import { CallFailed, type Errand, type Executed, type JudgedCertificateArgs } from "../provider.ts";
import type { CertificateAuthority } from "./authority.ts";
import type { AwsCalls, AwsContext } from "./call.ts";
import { PASSING } from "./failure.ts";
import { LOOK_FIRST_MS, LOOK_MAX_MS, SETTLES_WITHIN_MS } from "./limits.ts";

/** One command's dealings with one authority. */
export type Issuing = {
  readonly context: AwsContext;
  readonly calls: AwsCalls;
  readonly args: JudgedCertificateArgs;
  readonly errand: Errand;
};

/**
 * The base end-entity templates: they take subject, key and alternative names from the request, which the policy judged, and nothing
 * else from anywhere. Never one that passes extensions through, never one that makes an authority.
 */
export function templateOf(partition: string, usages: readonly Usage[]): string {
  const [server, client] = [usages.includes("server"), usages.includes("client")];
  if (!server && !client) throw new Error("a certificate without a usage was judged");
  const kind = server && client ? "" : server ? "ServerAuth" : "ClientAuth";
  return `arn:${partition}:acm-pca:::template/EndEntity${kind}Certificate/V1`;
}

/** Asks for the certificate, once however often it is sent: the command's id is the token. Returns its ARN. Throws CallFailed, Halted. */
export async function request(work: Issuing, authority: CertificateAuthority, validity: Validity): Promise<string> {
  const { context, calls, args, errand } = work;
  const body = Buffer.from(args.csrDer)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n");
  const input = {
    CertificateAuthorityArn: args.authority,
    Csr: Buffer.from(`-----BEGIN CERTIFICATE REQUEST-----\n${body}\n-----END CERTIFICATE REQUEST-----\n`),
    SigningAlgorithm: authority.signing,
    TemplateArn: templateOf(context.aws.partition, args.usages),
    // Both ends in unix seconds: AWS's own start is an hour before, which would make it longer than was permitted.
    ValidityNotBefore: { Type: "ABSOLUTE", Value: validity.from },
    Validity: { Type: "ABSOLUTE", Value: validity.until },
    IdempotencyToken: errand.id,
  } as const;
  const { CertificateArn = "" } = await calls.send("acm-pca", (client) =>
    client.send(new IssueCertificateCommand(input)),
  );
  const serial = CertificateArn.startsWith(`${args.authority}/certificate/`)
    ? CertificateArn.slice(`${args.authority}/certificate/`.length)
    : "";
  if (!/^[0-9a-f]{1,64}$/.test(serial)) throw new CallFailed("malformed", "its answer names no certificate", "unknown");
  return CertificateArn;
}

export type Fetched = { readonly leaf: X509Certificate; readonly above: readonly X509Certificate[] };

/** The certificate once it is issued, or what became of it by the deadline. */
export async function fetchIssued(work: Issuing, arn: string): Promise<Fetched | { readonly ended: Executed }> {
  const { clock } = work.context.host;
  const appears = clock.monotonic() + SETTLES_WITHIN_MS;
  const changed = [issuedChange(arn)];
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
    const late = work.errand.signal.aborted;
    try {
      return await fetchOnce(work, arn);
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      if (error.status === "RequestFailedException")
        return { ended: failed("issue-failed", [], `${arn}: ${error.words}`) };
      const appearing = error.status === "missing" && clock.monotonic() < appears;
      const comes = error.status === "in-progress" || appearing || PASSING.has(error.status);
      // It was accepted: whether it is issued cannot be told from here.
      if (late || !comes) return { ended: unknown(error.status, changed, error.words) };
    }
    await clock.sleep(wait, work.errand.signal);
  }
}

async function fetchOnce({ calls, args }: Issuing, arn: string): Promise<Fetched> {
  const input = { CertificateAuthorityArn: args.authority, CertificateArn: arn };
  const answer = await calls.send("acm-pca", (client) => client.send(new GetCertificateCommand(input)));
  const [leaf, ...more] = certificatesIn(answer.Certificate ?? "");
  if (leaf === undefined || more.length > 0) throw new CallFailed("malformed", "its answer is no certificate", "none");
  return { leaf, above: certificatesIn(answer.CertificateChain ?? "") };
}

export function issuedChange(arn: string) {
  return { what: "certificate", from: null, to: arn };
}
