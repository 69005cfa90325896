import type { Structure } from "./codec.ts";
import type { Service } from "./model.ts";

/** Whose credentials a call was signed with: a session of a role. */
export type Principal = {
  /** `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION` */
  readonly arn: string;
  readonly role: string;
  readonly roleId: string;
  readonly session: string;
  readonly account: string;
};

/** One call as it reached the world, and what became of it. */
export type Made = {
  /** AWS's request id, in the answer and in CloudTrail. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly service: Service;
  readonly operation: string;
  readonly params: Structure;
  readonly host: string;
  readonly method: string;
  /** The region that the signature is for. */
  readonly region: string;
  readonly userAgent: string;
  readonly accessKey: string;
  /** What IAM would judge: ARNs, and the condition keys that AWS documents for the operation. */
  readonly resources: readonly string[];
  readonly context: Readonly<Record<string, readonly string[]>>;
  /** The idempotency token that was sent. */
  readonly token: string | null;
  principal: Principal | null;
  /** AWS took the call in hand: CloudTrail has it. */
  reached: boolean;
  /** Something in the cloud is different because of it. */
  changed: boolean;
  /** The error's code; null: none, or no answer of the service's own. */
  error: string | null;
  message: string | null;
  result: Structure | null;
  /** The service's answer left whole and unchanged. */
  heard: boolean;
};

/** What a service refuses, by the code of its own model. */
export class ServiceError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status: number | null = null,
  ) {
    super(message);
    this.name = "ServiceError";
  }
}
