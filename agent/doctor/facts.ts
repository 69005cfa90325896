import type { ReachedPart } from "../../providers/provider.ts";
import type { Config } from "../config.ts";
import type { Stat } from "../host/host.ts";
import type { Space } from "../host/survey.ts";
import type { ReadPolicy } from "../owner/policy.ts";
import type { Switch } from "../owner/switch.ts";
import type { WitnessStatus } from "../witness/witnesses.ts";
import type { AgentUser, PathFact } from "./user.ts";

/** What doctor gathered: no secret is in any of it. `judge` turns it into lines. Times are milliseconds since 1970. */
export type Facts = {
  readonly ran: Ran;
  readonly config: ConfigFact;
  readonly clock: ClockFact;
  /** Null without a config: it says where everything else is. */
  readonly installed: Installed | null;
};

export type Ran = {
  readonly version: string;
  readonly runtime: string;
  readonly at: number;
  readonly uid: number;
  readonly user: AgentUser;
  /** With whose rights files were looked at. "own": doctor's own, who is the agent's user. `not`: why root could not take them. */
  readonly rights: "own" | "taken" | "other" | { readonly not: string };
  /** Names in doctor's own environment that `run` refuses. */
  readonly forbidden: readonly string[];
};

export type ConfigFact = {
  readonly path: string;
  readonly stat: Stat | null;
  /** Why it is none, and what to do. */
  readonly complaint: { readonly because: string; readonly hint: string } | null;
  /** The errno's name when the agent's user cannot read what doctor could. */
  readonly closed: string | null;
  readonly folders: readonly PathFact[];
};

export type ClockFact = {
  readonly services: readonly string[];
  /** systemd-timesyncd's own word; null when it does not run. */
  readonly synchronized: boolean | null;
  /** Wall minus monotonic, at the end of doctor's run less at its begin. */
  readonly jumpMs: number;
};

export type Installed = {
  readonly config: Config;
  readonly owner: OwnerFact;
  readonly disk: DiskFact;
  readonly paths: readonly (PathFact & { readonly want: Want })[];
  readonly network: NetworkFact;
  readonly identity: IdentityFact;
  readonly log: LogFact;
  readonly status: StatusFact;
  readonly provider: ProviderFact;
};
export type Want = { readonly kind: Stat["kind"] /** Bits that may be set. */; readonly mode: number };

export type OwnerFact = {
  /** The directory, or `s3://BUCKET/PREFIX/owner`. */
  readonly path: string;
  readonly policy: ReadPolicy;
  readonly warnings: number;
  readonly switch: Switch;
  readonly lies: OwnersDirectoryFact | "in-bucket";
};
export type OwnersDirectoryFact = {
  /** Who must own it. */
  readonly uid: number;
  readonly folder: PathFact;
  readonly folders: readonly PathFact[];
  readonly approvals: PathFact;
};

export type DiskFact = {
  readonly path: string;
  readonly space: Space | { readonly code: string };
  /** Of the reserve's files, by name: bytes, or null when it is not there. Null before there is a log, or when it cannot be seen. */
  readonly reserve: readonly { readonly name: string; readonly bytes: number | null }[] | null;
};

export type CertificateFact = {
  readonly subject: string;
  readonly issuer: string;
  readonly sha256: string;
  readonly from: number;
  readonly until: number;
};
export type EndpointFact = {
  readonly what: "enrolment" | "agents";
  readonly place: string;
  readonly via: "direct" | "proxy";
  readonly lookup: LookupFact;
  readonly shown: { readonly chain: readonly CertificateFact[] } | { readonly unreachable: string };
  /** A connection that trusts the pinned roots alone. Null: it was not tried, for none of them is known. */
  readonly verified: { readonly unreachable: string | null } | null;
  /** The control plane's clock less this one's, by the Date of a verified answer; null when it did not say. */
  readonly skewMs: number | null;
};
/** Null: there is no name to look up here. */
export type LookupFact = {
  readonly name: string;
  readonly result: readonly string[] | { readonly code: string };
} | null;
export type NetworkFact = {
  readonly endpoints: readonly EndpointFact[];
  /** Roots that may be shown: hex SHA-256, and who says so. */
  readonly pins: readonly { readonly sha256: string; readonly by: string }[];
  readonly proxy: { readonly place: string; readonly lookup: LookupFact; readonly credentials: string | null } | null;
  /** Endpoints that the config calls direct. */
  readonly direct: readonly string[];
};

export type TokenFact =
  | { readonly state: "unseen" }
  | {
      readonly state: "good";
      readonly path: string;
      readonly until: number /** The agent's user can unlink it after use. */;
      readonly removable: boolean;
    }
  | {
      readonly state: "bad";
      readonly message: string;
      readonly hint: string;
      /** It is missing or has expired, and by this config the machine's platform may do in its place. */
      readonly platform: boolean;
    };
export type IdentityFact =
  | { readonly state: "closed"; readonly message: string; readonly hint: string }
  | { readonly state: "none"; readonly began: number | null; readonly token: TokenFact; readonly fenced: Fenced | null }
  /** `left`: where a file lies in the join token's place, although it is not needed any more. */
  | (Joined & { readonly state: "joined"; readonly left: string | null; readonly fenced: Fenced | null });
export type Fenced = { readonly reason: string; readonly at: number | null };
export type Joined = {
  readonly agentId: string;
  readonly epoch: number;
  readonly enrolledAt: number;
  readonly certificate: { readonly serial: string; readonly from: number; readonly until: number };
  /** The newest certificate's chain, base64 DER, leaf first. */
  readonly chain: readonly string[];
  readonly renewing: boolean;
  readonly elsewhere: { readonly message: string; readonly hint: string } | null;
  readonly trust:
    | { readonly version: number; readonly keys: readonly string[]; readonly roots: number }
    | { readonly because: string; readonly hint: string };
  readonly statements: readonly string[];
};

export type LogFact =
  | { readonly state: "none"; readonly folder: string }
  | { readonly state: "closed"; readonly folder: string; readonly code: string }
  | { readonly state: "damaged"; readonly because: string; readonly hint: string }
  | { readonly state: "long"; readonly folder: string; readonly limit: number }
  | {
      readonly state: "whole";
      readonly folder: string;
      readonly size: number;
      readonly head: { readonly size: number; readonly time: number } | null;
      /** Whether the head's signature was held to this agent's own log key. */
      readonly held: boolean;
      readonly torn: boolean;
      readonly newest: number;
      readonly epoch: number | null;
      readonly revision: number;
      readonly open: number;
    };

export type StatusFact =
  | { readonly state: "none"; readonly path: string }
  | { readonly state: "unreadable"; readonly path: string }
  | {
      readonly state: "kept";
      readonly alive: boolean;
      readonly says: string;
      readonly reason: string;
      readonly pid: number;
      readonly contact: { readonly since: string; readonly reason: string } | null;
      readonly witnesses: readonly Pick<WitnessStatus, "name" | "size" | "at" | "failing">[];
    };

export type ProviderFact =
  | { readonly name: string; readonly parts: readonly ReachedPart[] }
  | { readonly name: string; readonly unknown: string };
