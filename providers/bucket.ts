/**
 * A prefix in the customer's own bucket (DESIGN section 5): the owner's folder of a machine that nobody logs into, and a copy of the log
 * that the vendor does not run. No call of it belongs to a command, so none goes through a command's gate; what it can reach is these names.
 */
export type Bucket = {
  /** For sentences: `s3://BUCKET/PREFIX`. */
  readonly place: string;
  /**
   * One object, of at most `max` bytes. "absent": the cloud says that there is none; where it will not say so without the right to list
   * (S3 answers 403 then), that answer is a BucketFailed. Throws BucketFailed.
   */
  get(name: BucketName, max: number, signal: AbortSignal): Promise<BucketObject | "absent">;
  /**
   * Adds an object whose bytes never change, and reads it back. One that is there already with these bytes is good; with others it is
   * refused. Throws BucketFailed.
   */
  add(name: BucketName, bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  /**
   * Puts a new version of `log/head` in place of the one with the mark `after`, null for none, and returns its mark. Another one that lies
   * there is refused as `there`, in one step with the writing: of two agents only one goes on. Throws BucketFailed.
   */
  putHead(bytes: Uint8Array, after: string | null, signal: AbortSignal): Promise<string>;
};

/** `mark`: another for each time that it was put there, also with the same bytes. */
export type BucketObject = { readonly bytes: Uint8Array; readonly mark: string };

/** `denied`: what S3 also answers for a missing object, without the right to list. `there`: other bytes lie under that name. */
export class BucketFailed extends Error {
  constructor(
    readonly what: "denied" | "unreachable" | "too-large" | "there" | "refused",
    readonly because: string,
    readonly hint: string,
  ) {
    super(because);
    this.name = "BucketFailed";
  }
}

declare const named: unique symbol;
/** A name below the prefix that the agent may read or add. Made by `bucketName` alone. */
export type BucketName = string & { readonly [named]: true };

const OF_THE_LOG = String.raw`log/[1-9][0-9]{0,9}/[0-9]{20}\.(?:jsonl|checkpoint|cosigned)`;
const OF_THE_OWNER = String.raw`owner/(?:on|suspended|policy\.yaml|approvals/[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.sig)`;
const MAY_READ = new RegExp(`^(?:${OF_THE_OWNER}|log/head|${OF_THE_LOG})$`);
const MAY_ADD = new RegExp(`^${OF_THE_LOG}$`);

/** The name, when the agent may do that with it. Throws on our own mistake: no other object is ever named. */
export function bucketName(name: string, use: "read" | "add"): BucketName {
  if (!(use === "read" ? MAY_READ : MAY_ADD).test(name) || name.includes(".."))
    throw new Error(`${name} is not for the agent to ${use}`);
  return name as BucketName;
}
