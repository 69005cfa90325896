import { base64, pemOf } from "../chain.ts";
import { DELIVERY_OPERATIONS, deliver, deliveryPlaces } from "../deliver.ts";
import { DELIVERED_OPERATIONS, deliveredPlaces, isDelivered } from "../delivered.ts";
import { failed, stoppedBy, succeeded } from "../outcome.ts";
import {
  type ActionProvider,
  type AuthorityState,
  CallFailed,
  type Errand,
  type Executed,
  type Gate,
  type JudgedCertificateArgs,
  type Reconciled,
} from "../provider.ts";
import { type Done, type Issuing, readPool } from "./authority.ts";
import { type GcpContext, gcpCalls } from "./call.ts";
import { placesOf } from "./endpoints.ts";
import { find, type Issued, issuedOf, nameOf, request } from "./issue.ts";
import { IN_FLIGHT_MS, LOOK_FIRST_MS, LOOK_MAX_MS, SETTLES_WITHIN_MS } from "./limits.ts";
import { poolName } from "./names.ts";
import { CERTIFICATE_OPERATIONS } from "./operations.ts";

type Args = JudgedCertificateArgs;

/** Has one certificate issued by a CA pool, and counts it as such only when it is exactly what was judged. */
export function gcpCertificate(context: GcpContext): ActionProvider<Args, AuthorityState> {
  const { gcp } = context;
  const issuing = (gate: Gate, args: Args, errand: Errand): Issuing => ({
    context,
    calls: gcpCalls(context, gate, errand, args.authority),
    args,
    errand,
  });
  return {
    operations: [...CERTIFICATE_OPERATIONS, ...DELIVERY_OPERATIONS, ...DELIVERED_OPERATIONS],
    places: (args) => [
      ...placesOf(gcp, "privateca", gcp.region, ["GET", "POST"]),
      ...deliveryPlaces(args.deliver),
      ...deliveredPlaces(args.deliver),
    ],
    async describe(gate, args, errand) {
      const missing = { missing: `there is no CA pool ${args.authority} in ${gcp.project}, ${gcp.region}` };
      if (poolName(gcp, args.authority) === null) return missing;
      try {
        return {
          state: { subject: (await readPool({ ...issuing(gate, args, errand), authority: args.authority })).subject },
        };
      } catch (error) {
        if (error instanceof CallFailed && error.status === "missing") return missing;
        throw error;
      }
    },
    execute: (gate, args, found, errand) => issueAndDeliver(issuing(gate, args, errand), gate, found),
    reconcile: (gate, args, _found, errand) => known(issuing(gate, args, errand), gate),
  };
}

/** An outcome holds four: the leaf always, and as many above it as fit. What is delivered is whole. */
const MAX_RECORDED = 4;
const NOTHING: Done = { changed: [], certificate: null };

function doneOf({ args, errand }: Issuing, { leaf, above }: Issued): Done {
  return {
    changed: [{ what: "certificate", from: null, to: nameOf(args, errand.id) }],
    certificate: [leaf, ...above].slice(0, MAX_RECORDED).map(base64),
  };
}

async function issueAndDeliver(work: Issuing, gate: Gate, judged: AuthorityState): Promise<Executed> {
  const { context, args } = work;
  let done = NOTHING;
  try {
    const pool = await readPool({ ...work, authority: args.authority });
    if (pool.subject !== judged.subject) return failed("concurrent", [], "the pool is another than was judged");
    const found = await request(work).catch((error: unknown) => awaitIssued(work, error));
    done = { changed: [{ what: "certificate", from: null, to: found.name ?? "" }], certificate: null };
    const issued = issuedOf(found, pool, args);
    // Whatever it is, it is issued and valid from now on: it is on record.
    done = doneOf(work, issued);
    if (issued.fault !== null) return { ...failed(issued.fault), ...done };
    if (args.deliver !== null)
      await deliver(context.host, gate, args.authority, args.deliver, pemOf([issued.leaf, ...issued.above]));
    return succeeded(done.changed, { certificate: done.certificate });
  } catch (error) {
    return { ...stoppedBy(error), ...done };
  }
}

/** The answer was lost: it is not sent again, but its name is known, and is looked for. Throws what it was given when it does not come. */
async function awaitIssued(work: Issuing, error: unknown): ReturnType<typeof request> {
  if (!(error instanceof CallFailed) || error.effect === "none") throw error;
  const { host } = work.context;
  const until = host.clock.monotonic() + SETTLES_WITHIN_MS;
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
    const late = work.errand.signal.aborted || host.clock.monotonic() > until;
    const found = await find(work).catch((failure: unknown) => {
      if (!(failure instanceof CallFailed)) throw failure;
      return null;
    });
    if (found !== null) return found;
    if (late) throw error;
    await host.clock.sleep(wait, work.errand.signal);
  }
}

/** What an intent became, by the certificate's own name, which is the command's. Throws CallFailed: whoever asked asks again. */
async function known(work: Issuing, gate: Gate): Promise<Reconciled> {
  const { context, args, errand } = work;
  const pool = await readPool({ ...work, authority: args.authority });
  let found = await find(work);
  if (found === null) {
    // One that was on its way when the agent stopped.
    await context.host.clock.sleep(IN_FLIGHT_MS, errand.signal);
    found = await find(work);
  }
  if (found === null) return { ...failed("not-done"), known_by: "token" };
  const issued = issuedOf(found, pool, args);
  const done = doneOf(work, issued);
  if (issued.fault !== null) return { ...failed(issued.fault), ...done, known_by: "token" };
  const pem = pemOf([issued.leaf, ...issued.above]);
  if (args.deliver === null || (await isDelivered(context.host, gate, args.authority, args.deliver, pem)))
    return { ...succeeded(done.changed, { certificate: done.certificate }), known_by: "token" };
  // It is issued and in the outcome: whoever waits for it here does not have it.
  return { ...failed("not-delivered"), ...done, known_by: "token" };
}
