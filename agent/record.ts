import type { Refusal } from "../policy/refusal.ts";
import type { Changed, Executed, Reconciled } from "../providers/provider.ts";
import { askedFacts } from "./action.ts";
import type { EntryBody, Operation, OutcomeBody } from "./audit/entry.ts";
import { MAX_ENTRY_BYTES, MAX_REFUSAL_ENTRY_BYTES } from "./limits.ts";
import { canonical, type Json } from "./wire/canonical.ts";
import { digestOf } from "./wire/envelope.ts";
import type { Command } from "./wire/parse.ts";

/** Room for what the log adds to a body: index, time, cluster, epoch. */
const ADDED_BYTES = 192;
const MAX_CHANGED = 250;
/** Characters of each text of a change; and where even one such change does not fit. */
const MAX_TEXT = 4096;
const SHORT_TEXT = 256;

export function lineBytes(body: EntryBody): number {
  return Buffer.byteLength(canonical(body as unknown as Json));
}

export type Asking = Pick<
  Extract<EntryBody, { kind: "refused" }>,
  "action" | "asked" | "by" | "command" | "digest" | "exp"
>;

export function asking(command: Command): Asking {
  const { claims, signed, asked } = command;
  return {
    action: asked.action,
    asked: askedFacts(asked),
    by: { key: signed.kid, says: { operator: claims.by, why: claims.why } },
    command: claims.jti,
    digest: signed.digest,
    exp: claims.exp,
  };
}

/** The same of an entry that holds a command already. */
export function askingOf({ action, asked, by, command, digest, exp }: Asking): Asking {
  return { action, asked, by, command, digest, exp };
}

/** A refused command's entry. It stays under MAX_REFUSAL_ENTRY_BYTES: the vendor cannot fill the owner's disk with long words. */
export function refusedBody(command: Asking, refusal: Refusal, policy: string | null, first: number | null): EntryBody {
  const body = {
    ...askingOf(command),
    kind: "refused" as const,
    code: refusal.code,
    because: refusal.because.slice(0, 512),
    hint: refusal.hint.slice(0, 512),
    rule: refusal.rule ?? null,
    field: refusal.field ?? null,
    found: refusal.found?.slice(0, 256) ?? null,
    limit: refusal.limit?.slice(0, 256) ?? null,
    policy,
    first,
  };
  const shorter: EntryBody[] = [
    body,
    { ...body, asked: {}, hint: "" },
    { ...body, asked: {}, hint: "", because: body.code, found: null, limit: null },
    {
      ...body,
      asked: {},
      hint: "",
      because: body.code,
      found: null,
      limit: null,
      by: { ...body.by, says: { operator: "(too long)", why: "(too long)" } },
    },
  ];
  const fits = shorter.find((candidate) => lineBytes(candidate) <= MAX_REFUSAL_ENTRY_BYTES - ADDED_BYTES);
  if (fits === undefined) throw new Error("a refusal does not fit its entry");
  return fits;
}

/** Bytes that could not be opened or parsed: nothing in them is anybody's word. */
export function rejectedBody(text: string, refusal: Refusal): EntryBody {
  const bytes = Buffer.from(text);
  return {
    kind: "rejected",
    code: refusal.code,
    digest: digestOf(bytes),
    bytes: bytes.length,
  };
}

/** An outcome that fits an entry: past that, the operations that are left out (`kept`) are counted in one row. */
export function outcomeBody(
  command: string,
  intent: number,
  executed: Executed,
  knownBy: Reconciled["known_by"] | "answer",
  operations: readonly Operation[],
  details: string | null,
): OutcomeBody {
  const body = (kept: number, length: number): OutcomeBody => ({
    kind: "outcome",
    command,
    intent,
    result: executed.result,
    code: executed.code,
    known_by: knownBy,
    changed: executed.changed.slice(0, Math.min(kept, MAX_CHANGED)).map((change) => cut(change, length)),
    operations: rowsOf(operations, kept),
    certificate: certificateThatFits(executed.certificate),
    details,
  });
  const fits = (candidate: OutcomeBody): boolean => lineBytes(candidate) <= MAX_ENTRY_BYTES - ADDED_BYTES;
  for (let kept = MAX_CHANGED; kept > 0; kept = Math.floor(kept / 2)) {
    const candidate = body(kept, MAX_TEXT);
    if (fits(candidate)) return candidate;
  }
  // Words of others, whose every character may be written as six.
  const least = [body(1, SHORT_TEXT), body(0, 0)].find(fits);
  if (least !== undefined) return least;
  throw new Error("an outcome does not fit its entry");
}

function cut({ what, from, to }: Changed, length: number): Changed {
  const short = (text: string): string => text.slice(0, length).toWellFormed();
  return { what: short(what), from: from === null ? null : short(from), to: to === null ? null : short(to) };
}

/** An issued certificate always gets its outcome: a chain that the entry cannot hold lies where it was delivered. */
function certificateThatFits(chain: readonly string[] | null): string[] | null {
  if (chain === null || chain.length > 4 || chain.some((der) => der.length > 8192)) return null;
  return [...chain];
}

/** At most `most` of them, in their order, and the row that counts the others. Changes stay before reads; then the oldest and the newest. */
function rowsOf(operations: readonly Operation[], most: number): Operation[] {
  if (operations.length <= most) return [...operations];
  const those = (changes: boolean): Operation[] => operations.filter((one) => one.changes === changes);
  const changes = ends(those(true), most);
  const kept = new Set([...changes, ...ends(those(false), most - changes.length)]);
  const rest = operations.filter((one) => !kept.has(one));
  return [...operations.filter((one) => kept.has(one)), left(rest)];
}

/** The first and the last of them, as many as `most`. */
function ends<T>(list: readonly T[], most: number): T[] {
  if (list.length <= most) return [...list];
  const first = Math.ceil(most / 2);
  return [...list.slice(0, first), ...list.slice(list.length - (most - first))];
}

function left(rest: readonly Operation[]): Operation {
  return {
    operation: "(more)",
    resource: `${rest.length} operations that do not fit this entry`,
    request: null,
    status: "ok",
    milliseconds: 0,
    changes: rest.some(({ changes }) => changes),
  };
}
