import { base64, pemOf } from "../chain.ts";
import { deliver } from "../deliver.ts";
import { failed, stoppedBy, succeeded } from "../outcome.ts";
import {
  type AuthorityState,
  CallFailed,
  type Changed,
  type Executed,
  Halted,
  type JudgedCertificateArgs,
} from "../provider.ts";
import { account } from "./account.ts";
import { acmeCalls } from "./call.ts";
import type { Asked } from "./certificate.ts";
import { type Proving, takeAway } from "./challenge.ts";
import { download, issuedChange } from "./download.ts";
import { faultOf } from "./issued.ts";
import { ISSUE_WITHIN_MS } from "./limits.ts";
import { type ChallengeRecord, type Note, type NoteBook, noteBook } from "./note.ts";
import { finalize, type Ordering, placeOrder, prove } from "./order.ts";
import { issuersOf } from "./roots.ts";

export type Issue = {
  readonly asked: Asked;
  readonly proving: Proving;
  readonly args: JudgedCertificateArgs;
  readonly found: AuthorityState;
};

/** An outcome holds four: the leaf always, and as many above it as fit. What is delivered is whole. */
export const MAX_RECORDED = 4;

/** Orders, proves, asks for the certificate and hands it over when it is exactly what was judged. What was put in the zone is taken away whatever happens. */
export async function issue(work: Issue): Promise<Executed> {
  const { asked, args, proving, found } = work;
  const book = noteBook(asked.context);
  const progress: { note: Note | null } = { note: null };
  let done: Executed;
  try {
    const calls = acmeCalls(asked.context, proving.gate, proving.errand, args.authority);
    if (asked.context.acme.directory !== found.subject)
      return failed("concurrent", [], "the authority is another than was judged");
    await sweep(work, book);
    const signer = await account(asked.context, calls);
    const until = asked.context.setting.host.clock.monotonic() + ISSUE_WITHIN_MS;
    const { challenges, context } = asked;
    done = await obtain(
      { context, calls, signer, args, errand: proving.errand, book, challenges, proving, until },
      progress,
    );
  } catch (error) {
    done = stoppedBy(error);
    // Nothing comes of an order that was not finalized.
    if (done.result === "unknown" && progress.note?.step !== "finalizing") done = { ...done, result: "failed" };
  }
  const left = progress.note === null ? NOTHING_LEFT : await clearAway(proving, progress.note, book);
  const words = [done.words, ...left.words].filter((each) => each !== null).join("\n");
  return {
    ...done,
    changed: [...done.changed, ...left.records.map(recordChange)],
    words: words === "" ? null : words,
  };
}

async function obtain(ordering: Ordering, progress: { note: Note | null }): Promise<Executed> {
  const { context, args, errand, proving } = ordering;
  const validity = { min: errand.validity?.min ?? 1, max: args.validity };
  const { note, order } = await placeOrder(ordering, validity);
  progress.note = note;
  await prove(ordering, order, note);
  const url = await finalize(ordering, note);
  const chain = await download(ordering, url);
  const certificate = chain.slice(0, MAX_RECORDED).map(base64);
  // Whatever it is, it is issued and valid from now on: it is on record.
  const changed = [issuedChange(chain[0])];
  try {
    const { host } = context.setting;
    const fault = faultOf(chain, { args, validity, now: host.clock.now(), roots: issuersOf(context) });
    if (fault !== null) return { ...failed(fault, changed), certificate };
    if (args.deliver !== null) await deliver(host, proving.gate, args.authority, args.deliver, pemOf(chain));
    return succeeded(changed, { certificate });
  } catch (error) {
    return { ...stoppedBy(error, changed), certificate };
  }
}

export function recordChange({ name, value }: ChallengeRecord): Changed {
  return { what: `${name} TXT`, from: null, to: value };
}

type Left = { readonly records: readonly ChallengeRecord[]; readonly words: readonly string[] };
const NOTHING_LEFT: Left = { records: [], words: [] };

/** Records that could not be taken away, and why. What is gone is no longer in the note. */
async function clearAway(proving: Proving, note: Note, book: NoteBook): Promise<Left> {
  const records: ChallengeRecord[] = [];
  const words: string[] = [];
  for (const record of note.records) {
    try {
      await takeAway(proving, record);
    } catch (error) {
      if (!(error instanceof CallFailed) && !(error instanceof Halted)) throw error;
      const why = error instanceof Halted ? error.why : `${error.status}: ${error.words}`;
      records.push(record);
      words.push(`${record.name} is left in the zone: ${why}`);
    }
  }
  try {
    book.write({ ...note, records });
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    // What came of the order stays what it is: the note names more than is left, and whoever clears away looks.
    words.push(`the order's note is as it was: ${error.words}`);
  }
  return { records, words };
}

/** Commands on one authority run one at a time: notes of others are of commands that have their outcome. What they left at our own names goes now. */
async function sweep({ args, proving, asked }: Issue, book: NoteBook): Promise<void> {
  const ours = new Set(asked.challenges.values());
  for (const note of book.all()) {
    if (note.authority !== args.authority || note.command === proving.errand.id) continue;
    const others = note.records.filter(({ name }) => !ours.has(name));
    for (const record of note.records) if (ours.has(record.name)) await takeAway(proving, record);
    if (others.length === 0) book.remove(note.command);
    else book.write({ ...note, records: others });
  }
}
