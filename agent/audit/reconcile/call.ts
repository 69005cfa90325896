/** One call in the cloud's own log, whichever cloud it is. Everything in it is the cloud's word, but `userAgent`, which is the caller's. */
export type Call = {
  /** The cloud log's own id of this event: the same event delivered twice has the same. */
  readonly id: string;
  /** What the cloud answered the caller with, and what an outcome's operations hold; null where the cloud's log has none. */
  readonly requestId: string | null;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** In the words of the operations tables: "autoscaling:SetDesiredCapacity". */
  readonly operation: string;
  /** What the cloud says it was; `unsaid` where its log does not say. */
  readonly kind: "read" | "change" | "unsaid";
  /**
   * What the call was about, in the words that an operation of the log names its resource with. One that ends in "/" names only the
   * beginning. Empty where the event does not show it.
   */
  readonly subjects: readonly string[];
  /** Who called: the session of the role. */
  readonly principal: string;
  readonly userAgent: string;
  /** Where the cloud's log has no user agent: the command that the caller's own request id is. Null where it is none. */
  readonly command?: string | null;
  /** The cloud's error code; null when the call was carried out. */
  readonly error: string | null;
  readonly address: string;
  readonly region: string;
  /** Whether the region is where the agent calls this service; `unsaid` where neither the config nor the call's resource says it. */
  readonly place: "ours" | "other" | "unsaid";
  readonly wished: Wished;
};

/** What a change asked for, in the words of an intent's `asked`. Null: the event does not show it. */
export type Wished = {
  readonly count: number | null;
  /** Sorted, with commas between; of a template that is no end entity's, the template. */
  readonly usages: string | null;
  /** Unix seconds, both inclusive. `another form`: one that the agent never asks for. */
  readonly validity: { readonly from: number | null; readonly until: number } | "another form" | null;
  /** As csrDigest has it. */
  readonly csr: string | null;
  /** As requestDigest has it, where the cloud is told key and names instead of the request itself; left out where it is told the request. */
  readonly request?: string | null;
  readonly records: readonly RecordWish[] | null;
};
export type RecordWish = {
  /** CREATE and DELETE; PUT where the cloud does not say whether there was one before. */
  readonly step: string;
  readonly name: string;
  readonly type: string;
  readonly ttl: number | null;
  readonly values: readonly string[] | null;
};

/** What one event of a cloud's log is to us. `others`: somebody else's. `summary`: no call, but the cloud's own reckoning of calls. */
export type Read = {
  readonly is: "ours" | "others" | "summary";
  readonly call: Call | null;
  /** RFC 3339 seconds, as the cloud wrote it; null where there is none. */
  readonly time: string | null;
  /** It says of itself that it only read: a log without one such event records changes only. */
  readonly reads: boolean;
};

/**
 * A cloud's log: the one part that differs from cloud to cloud. `splitter` cuts a file into events, `read` says what one is.
 * Both throw TrailFault.
 */
export type Trail = {
  readonly splitter: () => Splitter;
  readonly read: (event: Uint8Array) => Read;
  /** Whether the cloud's log ever holds reads by this operation; left out: all, or none. */
  readonly holdsReads?: (operation: string) => boolean;
};
/** Takes a file's bytes in order, and hands on each event as soon as it is whole. */
export type Splitter = {
  push(bytes: Uint8Array, take: (event: Uint8Array) => void): void;
  /** The file has ended: what it was. `digest`: it holds the cloud's checksums of other files, and no event. */
  end(take: (event: Uint8Array) => void): "events" | "digest";
};

/** A file that is not of the cloud's log: nothing is concluded from the others then. */
export class TrailFault extends Error {
  constructor(readonly because: string) {
    super(because);
    this.name = "TrailFault";
  }
}
