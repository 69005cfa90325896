import type { FaultCode } from "../agent/wire/protocol.ts";

/** An answer that is not 200. Thrown inside a transaction it undoes it. `message` is ours: nothing received stands in it. */
export class Faulted extends Error {
  constructor(
    readonly code: FaultCode,
    message: string,
    /** The connection ends with this answer. */
    readonly last = false,
  ) {
    super(message);
    this.name = "Faulted";
  }
}

export const FAULT_STATUS = {
  "token-invalid": 403,
  "token-expired": 403,
  "token-burnt": 403,
  "token-theft": 403,
  "token-needed": 403,
  "proof-needed": 403,
  "proof-nonce": 403,
  "proof-invalid": 403,
  "proof-not-admitted": 403,
  "proof-budget": 403,
  "key-used": 403,
  "csr-invalid": 400,
  fenced: 403,
  certificate: 403,
  expired: 403,
  malformed: 400,
  "too-large": 413,
  conflict: 409,
  "not-found": 404,
  unavailable: 503,
  "not-available": 501,
} as const satisfies Record<FaultCode, number>;
