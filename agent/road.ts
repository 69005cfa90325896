import type { History } from "../policy/asked.ts";
import type { Provider } from "../providers/provider.ts";
import type { ManifestSource } from "./artifacts/source.ts";
import type { EntryBody } from "./audit/entry.ts";
import type { Log } from "./audit/log.ts";
import type { Config } from "./config.ts";
import type { Host } from "./host/host.ts";
import type { OwnersFolder } from "./owner/folder.ts";
import type { ReadPolicy } from "./owner/policy.ts";
import type { OwnersHead } from "./owner/putHead.ts";

/** All that a command meets on its way, handed in: DESIGN section 3. */
export type Road = {
  readonly host: Host;
  readonly config: Config;
  readonly provider: Provider;
  readonly log: Log;
  readonly trustDomain: string;
  readonly agentId: string;
  readonly cluster: string;
  readonly epoch: number;
  /** Seconds since 1970. */
  readonly enrolledAt: number;
  /** Ed25519 public keys by kid, of the trust statement in force; empty before there is one. */
  commandKeys(): ReadonlyMap<string, string>;
  readonly owner: OwnersFolder;
  readPolicy(cannot: string): ReadPolicy;
  /** Where the log's head goes before anything is changed. */
  readonly head: OwnersHead;
  /** What counts in rates: this log's, and what the owner's bucket tells of the epochs before. */
  history(): History;
  /** Null when the owner's switch is on; else why not. Read anew each time; in a bucket, as `owner` was refreshed last. */
  suspended(): string | null;
  clockAgrees(): boolean;
  /** Resolves when every required witness has cosigned what is on record, or nothing more is to be begun. */
  cleared(): Promise<void>;
  /**
   * Null once the control plane holds the entry at this index: of two that hold one identity only one has it there, whatever became of the
   * other. Else why it does not; then nothing is called.
   */
  heard(index: number): Promise<string | null>;
  /** True once this process is to end: nothing more is begun. */
  stopping(): boolean;
  /** Aborted then. */
  readonly stop: AbortSignal;
  /** Where manifests are read. */
  readonly manifests: ManifestSource;
  /** True once another agent acts, or we made a mistake: nothing more is changed. */
  halted(): boolean;
  /** Ids that the vendor took back. */
  readonly cancelled: Set<string>;
  /** Said after entries became durable. */
  appended(bodies: readonly EntryBody[]): void;
};

/** Milliseconds since 1970, for decisions: the clock, never behind the newest entry. */
export function decisionTime(road: Pick<Road, "host" | "log">): number {
  return Math.max(road.host.clock.now(), road.log.memory.newest);
}

/** A policy is on record before anything is decided by it, so that an older file put back is seen to be older. */
export function recordNewer({ policy, digest }: Extract<ReadPolicy, { policy: unknown }>, road: Road): void {
  if (policy.revision > road.history().revision)
    write(road, { kind: "policy", policy: digest, revision: policy.revision, code: null });
}

/** Makes entries durable, in one group, and tells who waits for that. */
export function write(road: Pick<Road, "log" | "appended">, ...bodies: EntryBody[]): void {
  road.log.append(bodies);
  road.appended(bodies);
}
