import { base64, pemOf } from "../chain.ts";
import { isDelivered } from "../deliver.ts";
import { byState, failed, succeeded, unknown } from "../outcome.ts";
import type { Changed, JudgedCertificateArgs, Reconciled } from "../provider.ts";
import { keyPath } from "./account.ts";
import { readAccountKey } from "./accountKey.ts";
import { acmeCalls } from "./call.ts";
import type { Asked } from "./certificate.ts";
import { type Proving, stands } from "./challenge.ts";
import { download, issuedChange } from "./download.ts";
import { MAX_RECORDED, recordChange } from "./issue.ts";
import { faultOf } from "./issued.ts";
import { IN_FLIGHT_MS, ISSUE_WITHIN_MS } from "./limits.ts";
import { type Note, noteBook } from "./note.ts";
import { type Ordering, orderFailure, settled } from "./order.ts";
import { issuersOf } from "./roots.ts";

export type Becoming = { readonly asked: Asked; readonly proving: Proving; readonly args: JudgedCertificateArgs };

/**
 * What became of a command, by what this machine noted before each step and by what the authority says of the one order. Null: the config has no
 * such authority any more. Throws CallFailed while it cannot be told: whoever asked asks again.
 */
export async function becameOf(becoming: Becoming | null): Promise<Reconciled> {
  if (becoming === null) return { ...unknown("missing"), known_by: "nothing" };
  const { asked, proving } = becoming;
  const note = noteBook(asked.context).read(proving.errand.id);
  // The note is durable before the order can be finalized: without it there is no certificate.
  if (note === null) return byState(failed("not-issued"));
  const left = await leftOf(proving, note);
  if (note.step !== "finalizing") return byState(failed("not-issued", left));
  const executed = await ended(becoming, note);
  return { ...executed, changed: [...executed.changed, ...left] };
}

async function leftOf(proving: Proving, { records }: Note): Promise<Changed[]> {
  const left: Changed[] = [];
  for (const record of records) if (await stands(proving, record)) left.push(recordChange(record));
  return left;
}

async function ended({ asked, proving, args }: Becoming, note: Note): Promise<Reconciled> {
  const { context, challenges } = asked;
  const { clock, disk } = context.setting.host;
  const { gate, errand } = proving;
  const key = await readAccountKey(disk, context.setting.uid, keyPath(context));
  if (key === null)
    return {
      ...unknown("account-key", [], "the account's key is gone: the order cannot be asked for"),
      known_by: "nothing",
    };
  const signer = { key, account: note.account };
  const calls = acmeCalls(context, gate, errand, args.authority);
  const until = clock.monotonic() + ISSUE_WITHIN_MS;
  const ordering: Ordering = {
    context,
    calls,
    signer,
    args,
    errand,
    book: noteBook(context),
    challenges,
    proving,
    until,
  };
  let order = await settled(ordering, note.order, ["processing"]);
  if (order.status === "ready") {
    // Our last request may just arrive.
    await clock.sleep(IN_FLIGHT_MS, errand.signal);
    order = await settled(ordering, note.order, ["processing"]);
  }
  if (order.status !== "valid" || order.certificate === undefined) {
    const { status, words, effect } = orderFailure(order);
    if (order.status === "ready") return { ...failed("not-issued", [], words), known_by: "change id" };
    return { ...(effect === "none" ? failed : unknown)(status, [], words), known_by: "change id" };
  }
  const chain = await download(ordering, order.certificate);
  const certificate = chain.slice(0, MAX_RECORDED).map(base64);
  const changed = [issuedChange(chain[0])];
  const fault = faultOf(chain, { args, validity: note.validity, now: clock.now(), roots: issuersOf(context) });
  const here =
    args.deliver === null ||
    (await isDelivered(context.setting.host, gate, args.authority, args.deliver, pemOf(chain)));
  const code = fault ?? (here ? null : "not-delivered");
  const executed = code === null ? succeeded(changed) : failed(code, changed);
  return { ...executed, certificate, known_by: "change id" };
}
