import type { Dial } from "../agent/host/dial.ts";
import type { Host } from "../agent/host/host.ts";
import type { OwnerConfig } from "../agent/providerConfig/owner.ts";
import type { Proof } from "../agent/wire/proof.ts";
import type { Action, CertificateArgs, DnsArgs, ScaleArgs } from "../policy/asked.ts";
import type { Rule } from "../policy/policy.ts";
import type { RefusalCode } from "../policy/refusal.ts";
import type { Bucket } from "./bucket.ts";

/**
 * The contract of a provider. Per action: `describe` reads, `execute` changes and waits until what the command wanted is true,
 * `reconcile` only reads and says what an intent without an outcome became. Each goes to the cloud only through the gate it is given.
 */

/** One cloud operation that an action may use. Gate, rendered permissions and docs are this one table. */
export type OperationRow = {
  /** e.g. "local.process.start", "autoscaling:SetDesiredCapacity". */
  readonly operation: string;
  readonly kind: "read" | "change";
  /** What travels: "POST", "UPDATE", "spawn", … Compared again right before it leaves. */
  readonly method: string;
};
export type OperationsTable = readonly OperationRow[];

/** Where a call goes. `host`: a network endpoint, or the folder or program of a local one, as the config named it. */
export type CallPlace = { readonly host: string; readonly region: string; readonly method: string };

export type CallAnswer<T> = { readonly value: T; readonly request: string | null };

/**
 * A cloud's or program's refusal or failure. `status` is a short stable code for the entry; `words` (its own text) goes to details/ only.
 * `unknown` when the call may or may not have had its effect.
 */
export class CallFailed extends Error {
  constructor(
    readonly status: string,
    readonly words: string,
    readonly effect: "none" | "unknown",
    readonly request: string | null = null,
  ) {
    super(status);
    this.name = "CallFailed";
  }
}
/** The provider tried what the permitting rule does not name. Our own mistake: the agent writes a `gate` entry and stops (exit 70). */
export class GateBreach extends Error {
  constructor(
    readonly code: Extract<RefusalCode, `gate.${string}`>,
    readonly operation: string,
    readonly resource: string,
  ) {
    super(`${code}: ${operation} on ${resource}`);
    this.name = "GateBreach";
  }
}
/** The owner suspended or took the rule out, or the deadline passed, before a changing call; what came before it stands. */
export class Halted extends Error {
  constructor(readonly why: "suspended" | "no-longer-permitted" | "deadline" | "stopped") {
    super(why);
    this.name = "Halted";
  }
}

/**
 * Where a call stands. "later": before it is signed; "connecting": right before a connection is opened; "writing": on what stands open,
 * right before the first byte, or right before the effect of a call that needs no connection.
 */
export type Moment = "later" | "connecting" | "writing";
export type Leave = (place: CallPlace, moment: Moment) => void;

/**
 * Closed over one command and its permitting rule. `call` compares operation and resource when it begins; `send` hands the caller a
 * `leave` function that must be called right before the bytes leave, with where they really go: it compares host, region and method, and
 * for a changing call the owner's switch is read again, at each moment. Only "writing" is leaving: a call that returned without it is a
 * breach too, and one that ended before it was not made.
 */
export type Gate = {
  call<T>(operation: string, resource: string, send: (leave: Leave) => Promise<CallAnswer<T>>): Promise<T>;
};

/** What the command's execution may use besides the gate. */
export type Errand = {
  /** The command's id: the idempotency key of every call that takes one. */
  readonly id: string;
  readonly signal: AbortSignal;
  /** How long a certificate may be valid by the permitting rule, in seconds: where an authority decides itself, what comes is held to it. */
  readonly validity?: { readonly min: number; readonly max: number };
  /** How many machines the permitting rule lets a deploy take out of service at once, at least 1: there for every `execute` and `resume` of one. */
  readonly unavailable?: number;
};

export type Changed = { readonly what: string; readonly from: string | null; readonly to: string | null };
export type Executed = {
  readonly result: "succeeded" | "failed" | "unknown";
  /** Short stable code unless succeeded. */
  readonly code: string | null;
  readonly changed: readonly Changed[];
  /** An issued chain as base64 DER, leaf first; null for other actions. Certificates are public: they go into the outcome. */
  readonly certificate: readonly string[] | null;
  /** Others' own words, for details/. */
  readonly words: string | null;
};
export type Reconciled = Executed & { readonly known_by: "token" | "change id" | "state" | "nothing" };

/** Thrown or returned by describe: the resource is not there, or cannot be read. */
export type Described<S> =
  | { readonly state: S }
  | { readonly missing: string }
  | { readonly unreadable: string }
  | UnfitArtifact;
/** An image or a manifest that is not obtainable, or not what its digest says: nothing is touched. `because`, `hint`: words of ours. */
export type UnfitArtifact = {
  readonly artifact: "missing" | "digest" | "malformed";
  readonly because: string;
  readonly hint: string;
};

/** What each provider is made with, besides its own part of the config. */
export type Setting = {
  readonly host: Host;
  /** reeve's own version. */
  readonly version: string;
  /** Where the owner's folder is: a bucket is read with the provider's own credentials. */
  readonly owner: OwnerConfig;
  /** Connections to the cloud, as the config's `egress` says. */
  readonly dial: Dial;
};

/**
 * What a command must touch besides its own resource, and what the permitting rule covers because the one cannot be had without the other:
 * resources by their exact names, with a table and places of their own. A call of one ground is no call of another.
 */
export type Ground = {
  readonly table: OperationsTable;
  readonly places: readonly CallPlace[];
  readonly resources: readonly string[];
};

export type ActionProvider<Args, State> = {
  readonly operations: OperationsTable;
  /** The places that this provider's config allows calls to go to, for one command. */
  places(args: Args): readonly CallPlace[];
  /** Most actions touch nothing but their resource. */
  beside?(args: Args): readonly Ground[];
  describe(gate: Gate, args: Args, errand: Errand): Promise<Described<State>>;
  execute(gate: Gate, args: Args, state: State, errand: Errand): Promise<Executed>;
  /** `found`: the state that the intent was permitted on. */
  reconcile(gate: Gate, args: Args, found: State, errand: Errand): Promise<Reconciled>;
  /**
   * Takes away what an interrupted execution left beside its resource, under its intent and before the outcome. The gate lets it change
   * nothing but that. Throws CallFailed and Halted; what stays, `reconcile` says.
   */
  clear?(gate: Gate, args: Args, errand: Errand): Promise<void>;
  /**
   * Goes on with an interrupted execution under its open intent, towards the same end, only while the owner still permits it. `found`: the
   * state that the intent was permitted on. Whatever lies there half done is the intent's own: nobody else changed this resource meanwhile.
   * Absent: what was interrupted is only reconciled.
   */
  resume?(gate: Gate, args: Args, found: State, errand: Errand): Promise<Executed>;
};

export type ScaleState = { readonly count: number };
/** For a deploy the road adds what the manifest says of the group: the policy judged exactly this. */
export type JudgedDeployArgs = {
  readonly group: string;
  /** `sha256:<hex>`: what names the manifest. */
  readonly manifest: string;
  /** Where the image lies here (the manifest's `parameters.images`): an AMI's id, an image's resource name, `sha256:<hex>`. */
  readonly image: string;
  /** `sha256:<hex>`: the digest that the manifest's content has of the image. */
  readonly digest: string;
};
/**
 * `image`: where the image lies that every machine of the group runs, not what it is configured to run next; null when they run different
 * ones, or it cannot be told. `count`: machines of the group, which a deploy never changes; `healthy` of them.
 */
export type DeployState = { readonly image: string | null; readonly count: number; readonly healthy: number };
export type DeployProvider = ActionProvider<JudgedDeployArgs, DeployState> & {
  /** What a group runs now, of no command: by the read operations alone. An image or a manifest is not looked at. Throws CallFailed. */
  observe(gate: Gate, args: Pick<JudgedDeployArgs, "group">, errand: Errand): Promise<Described<DeployState>>;
};
/** Of an errand that is about no image. */
export const NO_IMAGE = { manifest: "", image: "", digest: "" } as const;
/** The id of an errand that reads what the policy shares of the groups. */
export const INVENTORY = "inventory";
/** The authority can be used. */
export type AuthorityState = { readonly subject: string };
/** For a certificate the road adds the request that the policy judged: exactly these bytes are to be signed. */
export type JudgedCertificateArgs = CertificateArgs & {
  readonly csrDer: Uint8Array;
  /** The names that were judged. */
  readonly names: readonly string[];
  /** Where the chain is delivered as PEM; null: with the outcome only (by-vendor). */
  readonly deliver: string | null;
};
export type RecordState = { readonly record: { readonly values: readonly string[]; readonly ttl: number } | null };

/**
 * One part of what the config or a rule names, as `probe` found it. `ok`: it can be used, or cannot; "unknown": that could not be found out.
 * `because`: what is the case; `hint`: what to do, "" when nothing is to be done.
 */
export type ReachedPart = {
  readonly what: string;
  readonly ok: boolean | "unknown";
  readonly because: string;
  readonly hint: string;
};

export type Provider = {
  readonly name: "local" | "aws" | "gcp" | "azure";
  readonly scale: ActionProvider<ScaleArgs, ScaleState>;
  readonly "issue-certificate": ActionProvider<JudgedCertificateArgs, AuthorityState>;
  readonly "update-dns": ActionProvider<DnsArgs, RecordState>;
  /**
   * Takes a group to an image by replacing its machines in steps. `describe` says whether the image is there and fit for use, before
   * anything is touched. `execute` has at most `unavailable` of them out of service at a time, beyond those that were found unhealthy; it
   * waits for the health of each step, and at the end reads what every machine really runs. One that does not get well: it goes back to the
   * image that the group had, and the outcome is `failed` with code `rolled-back`, or `rollback-failed`. Halted or past its deadline it
   * stops where it is. `changed`: deployed() of outcome.ts. Absent: this provider has no deploy, and every one is refused.
   */
  readonly deploy?: DeployProvider;
  /** For authorities that begin with `acme:`, whatever the cloud; absent where the config names none. */
  readonly acme?: ActionProvider<JudgedCertificateArgs, AuthorityState>;
  /** The customer's bucket that the config names as the owner's folder; null when that is a directory. */
  readonly bucket: Bucket | null;
  /** A group that the agent itself runs in: never touched, whatever a rule says. Empty when it runs in none. */
  readonly ownGroups: readonly string[];
  /**
   * Has the platform say who this machine is, over `binding` (32 bytes, agent/wire/proof.ts) and nothing else. Null where there is no platform
   * that could. `unreachable`: why there is none now, a few words of ours; it may be asked again.
   */
  readonly prove: ((binding: Uint8Array) => Promise<Proof | { readonly unreachable: string }>) | null;
  /**
   * For `doctor`: whether each thing that the config names could be used now, and each read that the policy's rules make necessary tried on
   * what they name. `rules`: none where the policy cannot be read. Changes nothing, belongs to no command; holds no secret and none of
   * others' words beyond names. Ends when `signal` aborts.
   */
  probe(rules: readonly Rule[], signal: AbortSignal): Promise<readonly ReachedPart[]>;
};
export type ProviderAction = Action;
