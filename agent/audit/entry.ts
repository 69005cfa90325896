import { z } from "zod";
import { REFUSAL_CODES } from "../../policy/refusal.ts";
import { ClusterName, CommandId, Digest, KeyId, Sha256Hex, Words } from "../wire/names.ts";

/**
 * The closed schema of log entries (DESIGN section 7). Fields are only ever added, kinds too.
 * An entry is one line of canonical JSON (RFC 8785) under MAX_ENTRY_BYTES. Times are RFC 3339 in UTC with milliseconds.
 */
const Time = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const Index = z.number().int().min(0);
/** 32 bytes in base64. */
const Base64Hash = z.string().regex(/^[A-Za-z0-9+/]{43}=$/);
/** Names and values that the policy permitted or the command said: short, without control characters. */
const Text = z.string().max(4096);
const Facts = z.record(
  z.string().max(64),
  z.union([Text, z.number().int(), z.boolean(), z.null(), z.array(Text).max(64)]),
);

const common = { v: z.literal(1), index: Index, time: Time, cluster: ClusterName, epoch: z.number().int().min(1) };

/** Who asks. `says` marks what is only the vendor's word. */
const By = z.strictObject({ key: KeyId, says: z.strictObject({ operator: Words, why: Words }) });
const Asking = {
  action: z.enum(["scale", "issue-certificate", "update-dns", "deploy"]),
  asked: Facts,
  by: By,
  command: CommandId,
  /** SHA-256 of the signed command's bytes (the compact JWS). */
  digest: Digest,
  /** The command's `exp`, unix seconds: its id is remembered until then and the skew. */
  exp: z.number().int(),
};
/** The signed command itself, a compact JWS: the customer can show what was asked. */
const Signed = z.string().max(24 * 1024);
const Allowed = z.strictObject({ policy: Digest, rule: z.string().max(64) });
const Person = z.string().max(64);
/** What a rule asks for. `within`: seconds. */
const Asks = z.strictObject({ by: z.array(Person).max(64), need: z.number().int().min(1), within: z.number().int() });
/** The certificate request that was judged, base64 DER; null for other actions. */
const Csr = z
  .string()
  .max(24 * 1024)
  .nullable();

export const Operation = z.strictObject({
  operation: z.string().max(128),
  resource: Text,
  /** Null where the place answers with none. */
  request: z.string().max(256).nullable(),
  /** "ok", or the place's short error code; never its own words. */
  status: z.string().max(64),
  milliseconds: z.number().int().min(0),
  changes: z.boolean(),
});
export type Operation = z.infer<typeof Operation>;

/** `code`: for a failure or unknown a short stable word, e.g. "deadline", "probe", "suspended", "recovered". */
const Outcome = {
  result: z.enum(["succeeded", "failed", "unknown"]),
  code: z.string().max(64).nullable(),
  /** What it is known by: the call's own answer, or after a crash "token", "change id" or "state". */
  known_by: z.enum(["answer", "token", "change id", "state", "nothing"]),
  changed: z.array(z.strictObject({ what: Text, from: Text.nullable(), to: Text.nullable() })).max(256),
  operations: z.array(Operation).max(256),
  /** An issued chain as base64 DER, leaf first. */
  certificate: z.array(z.string().max(8192)).max(4).nullable(),
  /** Salted digest of the place's own words in details/, or null. */
  details: Digest.nullable(),
};

export const Entry = z.discriminatedUnion("kind", [
  /** Entry 0: what vouches for the log's key. `signature`: by the leaf's key, over logKeyBinding(). */
  z.strictObject({
    ...common,
    kind: z.literal("epoch"),
    origin: Text,
    log_keys: z.array(z.strictObject({ key: Text, from: Index })).length(1),
    chain: z.array(z.string()).min(1).max(4),
    signature: z.string().max(256),
    before: Text.nullable(),
    config: Digest,
  }),
  /**
   * The first line of each segment but the first: what the entries before it come to, and the key that signs from here on.
   * `peaks`: of the tree of `index` leaves. `signature`: as in entry 0. `handed`: by the key before, over handoverText().
   * `carry`: of the bytes of the segment's carry file.
   */
  z.strictObject({
    ...common,
    kind: z.literal("segment"),
    origin: Text,
    peaks: z.array(Base64Hash).max(53),
    key: Base64Hash,
    chain: z.array(z.string()).min(1).max(4),
    signature: z.string().max(256),
    before: z.strictObject({ key: Base64Hash, from: Index }),
    handed: z.string().max(88),
    carry: Digest,
  }),
  z.strictObject({ ...common, kind: z.literal("started"), version: Text, process: CommandId, runtime: Text }),
  z.strictObject({ ...common, kind: z.literal("stopped"), why: Text }),
  z.strictObject({
    ...common,
    kind: z.literal("trust"),
    version: z.number().int(),
    digest: Digest,
    keys: z.array(KeyId),
  }),
  z.strictObject({
    ...common,
    kind: z.literal("trust-refused"),
    code: z.enum(REFUSAL_CODES),
    digest: Digest,
    bytes: z.number().int(),
  }),
  /** A trust statement that waits for the owner: it is held whole. `changes`: what it adds and drops, in words. */
  z.strictObject({
    ...common,
    kind: z.literal("trust-waiting"),
    version: z.number().int(),
    digest: Digest,
    statement: z.string().max(48 * 1024),
    changes: z.array(Text).max(64),
  }),
  z.strictObject({ ...common, kind: z.literal("renewed"), serial: Text, until: Time }),
  z.strictObject({
    ...common,
    kind: z.literal("policy"),
    policy: Digest,
    revision: z.number().int(),
    code: z.enum(REFUSAL_CODES).nullable(),
  }),
  z.strictObject({ ...common, kind: z.literal("switch"), on: z.boolean(), why: Text }),
  z.strictObject({ ...common, kind: z.literal("clock"), jumped: z.number().int(), agrees: z.boolean() }),
  z.strictObject({ ...common, kind: z.literal("torn"), bytes: z.number().int(), sha256: Sha256Hex, name: Text }),
  z.strictObject({
    ...common,
    kind: z.literal("gate"),
    code: z.enum(REFUSAL_CODES),
    /** Null: of no command, such as a look at the owner's folder. */
    command: CommandId.nullable(),
    operation: Text,
    resource: Text,
  }),
  /** A command that could not be opened or parsed: nothing in it is anybody's word. */
  z.strictObject({
    ...common,
    kind: z.literal("rejected"),
    code: z.enum(REFUSAL_CODES),
    digest: Digest,
    bytes: z.number().int(),
  }),
  /** A command whose signature was good, and that was refused. `first`: index of the entry that decided a replayed id. */
  z.strictObject({
    ...common,
    ...Asking,
    kind: z.literal("refused"),
    code: z.enum(REFUSAL_CODES),
    because: z.string().max(512),
    hint: z.string().max(512),
    rule: z.string().max(64).nullable(),
    field: z.string().max(64).nullable(),
    found: z.string().max(256).nullable(),
    limit: z.string().max(256).nullable(),
    policy: Digest.nullable(),
    first: Index.nullable(),
  }),
  /** A dry run that would have been permitted; `approval`: once these people had approved. */
  z.strictObject({
    ...common,
    ...Asking,
    kind: z.literal("considered"),
    allowed: Allowed,
    found: Facts,
    signed: Signed,
    approval: Asks.optional(),
  }),
  /** A command that a rule permits once people have approved. `sentence`: the rule in words. `until`: unix seconds, when the wait ends. */
  z.strictObject({
    ...common,
    ...Asking,
    kind: z.literal("waiting"),
    allowed: Allowed,
    approval: Asks,
    found: Facts,
    resource: Text,
    sentence: Text,
    signed: Signed,
    until: z.number().int(),
  }),
  /**
   * One SSH signature out of the owner's folder: what it is about, whose it is, and why it does not count (`code`; null when it does).
   * `approves`: a command's id, `trust-2`, `fencing-3`. `digest`: of the signature's file part. `signature`: as base64, without armor.
   */
  z.strictObject({
    ...common,
    kind: z.literal("approval"),
    approves: Text,
    code: z.enum(REFUSAL_CODES).nullable(),
    digest: Digest,
    key: Text.nullable(),
    person: Person.nullable(),
    signature: z
      .string()
      .max(12 * 1024)
      .nullable(),
  }),
  /** Another agent acts: said by the control plane. `digest`: what an end of this fencing is approved by. */
  z.strictObject({ ...common, kind: z.literal("fenced"), digest: Digest, says: Text }),
  /** The owner's approval ended a fencing; whether the control plane agrees is its own to say. */
  z.strictObject({ ...common, kind: z.literal("unfenced"), digest: Digest, person: Person }),
  z.strictObject({
    ...common,
    ...Asking,
    kind: z.literal("intent"),
    allowed: Allowed,
    found: Facts,
    resource: Text,
    signed: Signed,
    csr: Csr,
    /** By whose approval: the person, and the entry that holds the signature. Only where the rule asks for one. */
    approved: z
      .array(z.strictObject({ entry: Index, person: Person }))
      .max(16)
      .optional(),
  }),
  z.strictObject({ ...common, ...Outcome, kind: z.literal("outcome"), command: CommandId, intent: Index }),
  z.strictObject({ ...common, kind: z.literal("cancelled"), command: CommandId }),
]);
export type Entry = z.infer<typeof Entry>;
export type EntryKind = Entry["kind"];
/** Distributes over the union: an entry before the log gave it index, time, cluster and epoch. */
export type EntryBody = Entry extends infer E
  ? E extends Entry
    ? Omit<E, "v" | "index" | "time" | "cluster" | "epoch">
    : never
  : never;
export type OutcomeBody = Extract<EntryBody, { kind: "outcome" }>;
