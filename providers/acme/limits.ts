/** Limits of ACME, each with its unit in its name. */
export const ACME_CALL_TIMEOUT_MS = 15_000;
export const MAX_ACME_ANSWER_BYTES = 1024 * 1024;
/** An answer `badNonce` is no refusal: the same request goes again with a fresh one (RFC 8555 section 6.5). */
export const MAX_NONCE_TRIES = 10;
/** Of one order: each name is a record of its own, and an outcome lists at most 256 calls. */
export const MAX_ACME_NAMES = 16;
/** How often an order or an authorization is looked at: at first, and at most, whatever Retry-After says. */
export const LOOK_FIRST_MS = 500;
export const LOOK_MAX_MS = 15_000;
/** Of a record that proves a name. */
export const CHALLENGE_TTL_SECONDS = 60;
/** Somebody else changed the record set between our reading and our writing. */
export const MAX_RECORD_TRIES = 3;
/** A call that was on its way when the agent stopped has arrived by then, or never will. */
export const IN_FLIGHT_MS = 5_000;
export const MAX_KEY_BYTES = 16 * 1024;
export const MAX_NOTE_BYTES = 64 * 1024;
export const MAX_ROOTS_BYTES = 256 * 1024;
/** For ordering, proving and waiting together: what is left of a command's deadline is for clearing away. */
export const ISSUE_WITHIN_MS = 200_000;
