import { base64, pemOf } from "../chain.ts";
import { DELIVERY_OPERATIONS, deliver, deliveryPlaces } from "../deliver.ts";
import { faultOf, validityOf } from "../issued.ts";
import { failed, stoppedBy, succeeded } from "../outcome.ts";
import {
  type ActionProvider,
  type AuthorityState,
  CallFailed,
  type Executed,
  type Gate,
  type JudgedCertificateArgs,
  type Reconciled,
} from "../provider.ts";
import { readAuthority } from "./authority.ts";
import { type AwsContext, awsCalls } from "./call.ts";
import { placesOf } from "./endpoints.ts";
import { fetchIssued, type Issuing, issuedChange, request } from "./issue.ts";
import { CERTIFICATE_OPERATIONS } from "./operations.ts";

type Args = JudgedCertificateArgs;

/** Has one certificate issued by a private CA, and counts it as such only when it is exactly what was judged. */
export function awsCertificate(context: AwsContext): ActionProvider<Args, AuthorityState> {
  const calls = (gate: Gate, args: Args, errand: Issuing["errand"]) => awsCalls(context, gate, errand, args.authority);
  return {
    operations: [...CERTIFICATE_OPERATIONS, ...DELIVERY_OPERATIONS],
    places: (args) => [...placesOf(context.aws, "acm-pca", ["POST"]), ...deliveryPlaces(args.deliver)],
    async describe(gate, args, errand) {
      const { partition, region } = context.aws;
      const missing = { missing: `there is no certificate authority ${args.authority} in ${region}` };
      if (!args.authority.startsWith(`arn:${partition}:acm-pca:${region}:`)) return missing;
      try {
        const { chain } = await readAuthority(calls(gate, args, errand), args.authority);
        return { state: { subject: chain[0].subject } };
      } catch (error) {
        if (error instanceof CallFailed && error.status === "missing") return missing;
        throw error;
      }
    },
    execute: (gate, args, found, errand) =>
      issueAndDeliver({ context, calls: calls(gate, args, errand), args, errand }, gate, found),
    reconcile: async (_gate, _args, _found, errand) => issuedOrNot(errand.id),
  };
}

/** An outcome holds four: the leaf always, and as many above it as fit. What is delivered is whole. */
const MAX_RECORDED = 4;

async function issueAndDeliver(work: Issuing, gate: Gate, found: AuthorityState): Promise<Executed> {
  const { context, calls, args } = work;
  let done: Pick<Executed, "changed" | "certificate"> = { changed: [], certificate: null };
  try {
    const authority = await readAuthority(calls, args.authority);
    if (authority.chain[0].subject !== found.subject)
      return failed("concurrent", [], "the authority is another than was judged");
    const validity = validityOf(context.host.clock.now(), args.validity, authority.chain);
    const arn = await request(work, authority, validity);
    done = { changed: [issuedChange(arn)], certificate: null };
    const fetched = await fetchIssued(work, arn);
    if ("ended" in fetched) return fetched.ended;
    const chain = [fetched.leaf, ...authority.chain];
    // Whatever it is, it is issued and valid from now on: it is on record.
    done = { ...done, certificate: chain.slice(0, MAX_RECORDED).map(base64) };
    const fault = faultOf(fetched.leaf, fetched.above, { args, chain: authority.chain, validity });
    if (fault !== null) return { ...failed(fault), ...done };
    if (args.deliver !== null) await deliver(context.host, gate, args.authority, args.deliver, pemOf(chain));
    return succeeded(done.changed, { certificate: done.certificate });
  } catch (error) {
    return { ...stoppedBy(error), ...done };
  }
}

/**
 * A private CA does not list what it issued, and the certificate's name is only in the answer that was lost: no read can tell. The call is
 * not sent again to find out.
 */
function issuedOrNot(command: string): Reconciled {
  const words = [
    "Whether a certificate was issued cannot be read: a private CA does not list what it issued.",
    `Look in CloudTrail for IssueCertificate with cmd/${command} in its user agent, or in the authority's audit report.`,
  ];
  const nothing = { changed: [], certificate: null };
  return { result: "unknown", code: "issued-or-not", known_by: "nothing", words: words.join("\n"), ...nothing };
}
