import { CallFailed, type Errand, type JudgedCertificateArgs } from "../provider.ts";
import type { WireAnswer } from "../transport.ts";
import type { AccountSigner } from "./account.ts";
import type { AcmeCalls, AcmeContext } from "./call.ts";
import { type Proving, proofOf, put } from "./challenge.ts";
import { IN_FLIGHT_MS, LOOK_FIRST_MS, LOOK_MAX_MS } from "./limits.ts";
import { linkOf } from "./link.ts";
import type { Note, NoteBook } from "./note.ts";
import { Authorization, Order, objectOf } from "./objects.ts";
import { codeOf, wordsOf } from "./problem.ts";

/** One command's dealings with one authority, by one account. */
export type Ordering = {
  readonly context: AcmeContext;
  readonly calls: AcmeCalls;
  readonly signer: AccountSigner;
  readonly args: JudgedCertificateArgs;
  readonly errand: Errand;
  readonly book: NoteBook;
  /** Challenge names by the names that they prove. */
  readonly challenges: ReadonlyMap<string, string>;
  readonly proving: Proving;
  /** Monotonic milliseconds by which the authority must have answered, so that time is left to clear away. */
  readonly until: number;
};

/** Orders, and notes where. Nothing can come of an order that is not noted: it is never finalized. */
export async function placeOrder(
  ordering: Ordering,
  validity: Note["validity"],
): Promise<{ note: Note; order: Order }> {
  const { context, calls, signer, args, errand, book } = ordering;
  const { newOrder } = await calls.directory();
  const identifiers = args.names.map((value) => ({ type: "dns", value }));
  const answer = await calls.post("acme:newOrder", newOrder, { identifiers, ...asked(context, args.validity) }, signer);
  const order = orderIn(ordering, answer);
  const url = linkOf(context.acme, answer.headers["location"] ?? "").href;
  const { id: command } = errand;
  const note: Note = {
    command,
    authority: args.authority,
    account: signer.account,
    order: url,
    step: "ordered",
    records: [],
    validity,
  };
  // If we stop before this the order is nobody's, and ends by itself.
  book.write(note);
  return { note, order };
}

/** Both ends, for authorities that take them (RFC 8555 section 7.4). */
function asked({ acme, setting }: AcmeContext, seconds: number): { notBefore?: string; notAfter?: string } {
  if (acme.validity === "theirs") return {};
  const from = Math.floor(setting.host.clock.now() / 1000);
  const text = (at: number) => `${Temporal.Instant.fromEpochMilliseconds(at * 1000).toString()}`;
  return { notBefore: text(from), notAfter: text(from + seconds - 1) };
}

/** An order is ours when it is about the judged names, no more and no fewer. Throws CallFailed. */
function orderIn({ args }: Ordering, answer: WireAnswer): Order {
  const order = objectOf(Order, answer);
  const named = order.identifiers.map(({ type, value }) => `${type}:${value}`).sort();
  if (
    named.join() !==
    args.names
      .map((name) => `dns:${name}`)
      .sort()
      .join()
  )
    throw new CallFailed("order-other", "the order is about other names", "none");
  if (order.authorizations.length > args.names.length)
    throw new CallFailed("order-other", "the order has more authorizations than names", "none");
  return order;
}

/** Proves each name that is not proven yet: all records first, then the authority is told, then it is waited for. Throws CallFailed and Halted. */
export async function prove(ordering: Ordering, order: Order, note: Note): Promise<void> {
  const { context, calls, signer, book, challenges, proving } = ordering;
  const told: { readonly authorization: string; readonly challenge: string }[] = [];
  for (const authorization of order.authorizations) {
    const read = await readAuthorization(ordering, authorization);
    if (read.status === "valid") continue;
    const name = challenges.get(read.identifier.value);
    if (read.identifier.type !== "dns" || read.wildcard || name === undefined)
      throw new CallFailed("order-other", "an authorization is about another name", "none");
    if (read.status !== "pending") throw failureOf(read);
    const challenge = read.challenges.find(({ type }) => type === "dns-01");
    if (challenge?.token === undefined) throw new CallFailed("no-dns-01", "it offers no DNS challenge", "none");
    note.records.push({ name, value: proofOf(challenge.token, signer.key.thumbprint) });
    told.push({ authorization, challenge: challenge.url });
  }
  // If we stop here the records may or may not be in the zone: whoever clears away looks.
  book.write(note);
  for (const record of note.records) await put(proving, record);
  if (told.length > 0)
    await context.setting.host.clock.sleep(context.acme.settle_seconds * 1000, ordering.errand.signal);
  for (const { challenge } of told) await calls.post("acme:challenge", challenge, {}, signer);
  for (const { authorization } of told) {
    await waitFor(ordering, async () => {
      const { answer, value } = await authorizationAt(ordering, authorization);
      if (value.status === "valid") return { done: true };
      if (value.status !== "pending") throw failureOf(value);
      return { again: answer };
    });
  }
}

async function authorizationAt({ calls, signer }: Ordering, url: string) {
  const answer = await calls.post("acme:authorization", url, null, signer);
  return { answer, value: objectOf(Authorization, answer) };
}

async function readAuthorization(ordering: Ordering, url: string): Promise<Authorization> {
  return (await authorizationAt(ordering, url)).value;
}

/** Why a name could not be proven, by the challenge's own word: a wrong CAA record, a record that the authority does not see. */
function failureOf({ status, identifier, challenges }: Authorization): CallFailed {
  const error = challenges.find((challenge) => challenge.error !== undefined)?.error;
  if (error === undefined) return new CallFailed("challenge-invalid", `${identifier.value}: ${status}`, "none");
  return new CallFailed(codeOf(error), `${identifier.value}: ${wordsOf(error)}`, "none");
}

/** Asks for the certificate, and waits until there is one. Returns its URL. Throws CallFailed and Halted. */
export async function finalize(ordering: Ordering, note: Note): Promise<string> {
  const { calls, signer, args, book } = ordering;
  const ready = await settled(ordering, note.order, ["pending"]);
  if (ready.status === "ready") {
    // From here on a certificate may come of it: what became of it, the order says.
    note.step = "finalizing";
    book.write(note);
    const csr = Buffer.from(args.csrDer).toString("base64url");
    try {
      await calls.post("acme:finalize", ready.finalize, { csr }, signer);
    } catch (error) {
      if (!(error instanceof CallFailed) || error.effect === "none") throw error;
      // Its answer was lost. It is not sent again: the order is looked at, once it would have arrived.
      await ordering.context.setting.host.clock.sleep(IN_FLIGHT_MS, ordering.errand.signal);
      return issuedAt(await settledAfter(ordering, note.order), error);
    }
  }
  return issuedAt(await settledAfter(ordering, note.order), null);
}

/** An order that was asked to be finalized: what kept it from being read says nothing of what came of it. Throws CallFailed with effect unknown. */
async function settledAfter(ordering: Ordering, url: string): Promise<Order> {
  try {
    return await settled(ordering, url, ["processing"]);
  } catch (error) {
    throw error instanceof CallFailed ? new CallFailed(error.status, error.words, "unknown") : error;
  }
}

function issuedAt(order: Order, lost: CallFailed | null): string {
  if (order.status === "valid" && order.certificate !== undefined) return order.certificate;
  throw lost !== null && order.status === "ready" ? lost : orderFailure(order);
}

/** The order once it is in none of these states. Throws CallFailed, `deadline` when it stays. */
export async function settled(ordering: Ordering, url: string, passing: readonly Order["status"][]): Promise<Order> {
  let order: Order | null = null;
  await waitFor(ordering, async () => {
    const answer = await ordering.calls.post("acme:order", url, null, ordering.signer);
    order = orderIn(ordering, answer);
    return passing.includes(order.status) ? { again: answer } : { done: true };
  });
  if (order === null) throw new Error("an order was not read");
  return order;
}

/** Only of an invalid order is it sure that nothing came. */
export function orderFailure({ status, error }: Order): CallFailed {
  const effect = status === "invalid" ? "none" : "unknown";
  if (error !== undefined) return new CallFailed(codeOf(error), wordsOf(error), effect);
  return new CallFailed(status === "invalid" ? "order-invalid" : "malformed", `the order is ${status}`, effect);
}

/** Looks until it is done, as often as the authority says it should be looked at, within bounds. Throws CallFailed `deadline`. */
async function waitFor(
  { context, errand, until }: Ordering,
  look: () => Promise<{ readonly done: true } | { readonly again: WireAnswer }>,
): Promise<void> {
  const { clock } = context.setting.host;
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
    const late = errand.signal.aborted || clock.monotonic() > until;
    const seen = await look();
    if ("done" in seen) return;
    if (late) throw new CallFailed("authority-slow", "the authority has not come to an end in time", "unknown");
    await clock.sleep(pauseOf(seen.again, wait), errand.signal);
  }
}

/** Retry-After in seconds, where it says so (RFC 8555 section 7.5.1), never longer than LOOK_MAX_MS. */
function pauseOf({ headers }: WireAnswer, wait: number): number {
  const said = headers["retry-after"] ?? "";
  return /^\d{1,5}$/.test(said) ? Math.min(Math.max(Number(said) * 1000, LOOK_FIRST_MS), LOOK_MAX_MS) : wait;
}
