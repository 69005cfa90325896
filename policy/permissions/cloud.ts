import type { Action } from "../asked.ts";
import type { Policy } from "../policy.ts";
import type { Audited, Unreadable } from "./audit/report.ts";

/**
 * The contract of one cloud's permissions: which calls each action makes and what they need, the least permissions of a policy file
 * rendered from that one table, and what an existing role has beyond them. All of it is pure, and brings no SDK.
 */

/** One call of a cloud's API. The call gate, the rendered permissions and docs/PROVIDERS.md are one table of these. */
export type Operation = {
  /** As the cloud's audit log names the call. */
  readonly operation: string;
  readonly kind: "read" | "change";
  /** What travels: the HTTP method. */
  readonly method: string;
  /** The permissions that the call needs, as the cloud writes them in a role; none when it needs none. */
  readonly permissions: readonly string[];
  /** What the cloud judges the call by, in one word: the form of its resource. */
  readonly scope: string;
  /** May be sent again when its answer was lost: a read, or a change that a token makes one change. */
  readonly again: boolean;
};
/** What each action calls, and what the agent calls whatever the rules to know whose credentials it has. */
export type Operations<Row extends Operation = Operation> = Readonly<Record<Action | "identity", readonly Row[]>>;

/** A rule that cannot be rendered, and why. */
export type Fault = { readonly rule: string; readonly because: string; readonly hint: string };

/** What is asked to be printed. */
export type Asked = {
  /** One of the cloud's `formats`. */
  readonly format: string;
  /** The ceiling of the agent's role instead of what it is granted; only where the cloud has such a thing. */
  readonly boundary: boolean;
  /** A line that says what file this is for; goes above everything where the format takes comments. */
  readonly head: string;
};
export type Printed = {
  /** What the permissions are called in the cloud. */
  readonly name: string;
  /** Exactly what the cloud, or Terraform, takes. Ends with a line's end. */
  readonly text: string;
  /** What one should know of it and cannot see in it, a sentence or two each. */
  readonly notes: readonly string[];
  /** The text holds the notes already, as comments. */
  readonly noted: boolean;
  /** For `--json`, beside format, name, policy and notes. */
  readonly json: Readonly<Record<string, unknown>>;
};

/** The least permissions of one policy file: every call that some rule permits in some state, and no other that the cloud can tell apart. */
export type Permissions = {
  print(asked: Asked): Printed;
  /** Holds a role's file, as the cloud's own tools print it, against them. `name`: which role, where the file holds several. Never throws on bad input. */
  audit(file: Uint8Array, name: string | null): Audited | Unreadable;
};

export type Cloud = {
  /** In words for people. */
  readonly title: string;
  /** What `--format` takes, the one without it first. */
  readonly formats: readonly [string, ...string[]];
  /** Whether a role's ceiling can be printed. */
  readonly boundary: boolean;
  readonly operations: Operations;
  /** What the URL of a bucket in this cloud is, for the owner's folder. */
  readonly bucket: { readonly form: RegExp; readonly words: string };
  /**
   * For a file whose place is this cloud's; another's is our own mistake and throws. `bucket`: the owner's folder when it is one, of the
   * cloud's form; null when it is a directory, which needs nothing of the cloud.
   */
  render(policy: Policy, bucket: string | null): Permissions | { readonly faults: readonly Fault[] };
};
