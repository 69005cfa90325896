import type { Refusal } from "../../policy/refusal.ts";
import type { LogKeys } from "../audit/logKeys.ts";
import type { EnrolmentFault } from "./fault.ts";
import type { Session } from "./session.ts";

export type Renewal =
  | { readonly renewed: { readonly serial: string; readonly untilMs: number } }
  /** Nothing to do before `atMs` (machine clock). */
  | { readonly notDue: { readonly atMs: number } }
  /** Try again later; the certificate in use may still be good. `reason` is short. */
  | { readonly unreachable: string }
  | { readonly fault: EnrolmentFault };

/** A statement that the one before has signed, and that waits for the owner. `changes`: what it adds and drops, in words. */
export type Successor = {
  readonly version: number;
  readonly digest: string;
  readonly statement: string;
  readonly changes: readonly string[];
};

export type TrustAccepted = {
  /** Statements that were accepted and are durable now, oldest first. `digest`: `sha256:` of the JWS. */
  readonly accepted: readonly {
    readonly version: number;
    readonly digest: string;
    readonly keys: readonly string[];
  }[];
  /** Set when one was refused; those after it were not looked at. */
  readonly refused: { readonly refusal: Refusal; readonly digest: string; readonly bytes: number } | null;
};

/** Who this agent is. Everything it says is durable. */
export type Identity = {
  readonly agentId: string;
  readonly trustDomain: string;
  readonly cluster: string;
  readonly epoch: number;
  /** Machine clock, when this epoch's enrolment began: no command of this epoch was made before. */
  readonly enrolledAtMs: number;
  /** Whether it joined by a token that was good by this machine's clock. */
  readonly byToken: boolean;
  /** The newest certificate's chain as base64 DER, leaf first, root last. */
  chain(): readonly string[];
  /** When the newest certificate ends, in milliseconds since 1970. */
  certificateUntilMs(): number;
  /** DER of the roots that are trusted now: the pinned one, or those of the trust statement in force. */
  roots(): readonly Uint8Array[];
  /** The root that the token pinned. */
  readonly rootPem: string;
  /** Ed25519, made anew for each enrolment and each segment of the log. */
  readonly logKeys: LogKeys;
  /** Ed25519 command keys of the newest trust statement: kid to `x` in base64url. Empty until there is one. */
  commandKeys(): ReadonlyMap<string, string>;
  /** Ed25519 keys by which the control plane cosigns, of the newest trust statement: kid to `x` in base64url. */
  witnessKeys(): ReadonlyMap<string, string>;
  /** 0 until there is one. */
  trustVersion(): number;
  /** The statement in force, as its entry names it; null until there is one. */
  newestTrust(): { readonly version: number; readonly digest: string; readonly keys: readonly string[] } | null;
  /** ECDSA P-256 over SHA-256 by the newest leaf's key, IEEE P1363 (64 bytes). Goes with `chain()`. */
  sign(bytes: Uint8Array): Uint8Array;
  readonly session: Session;
  /** Renews when two thirds of the lifetime have passed. Call it again and again. */
  renewIfDue(signal?: AbortSignal): Promise<Renewal>;
  /** Takes statements newer than `trustVersion()`, in order. `approved`: whether the owner has said yes; not asked where rotation is automatic. */
  acceptTrust(statements: readonly string[], approved: (statement: Successor) => boolean): Promise<TrustAccepted>;
  /**
   * Durable: every later start is refused until the owner approves an end of this fencing, or `reeve leave`. `record` is told what is
   * approved, its digest, before it holds: a fencing that is not on record could not be approved.
   */
  markFenced(reason: string, record: (digest: string) => void): void;
  /** The fencing that this identity is under; null when it is under none. Nothing is asked of the control plane while it is. */
  fencing(): string | null;
  /** Durable: the owner has approved. */
  endFencing(): void;
};
