/** Limits of the provider for Azure, each with its unit in its name. */
export const AZURE_CALL_TIMEOUT_MS = 15_000;
/** One attempt of a read, or of a change that is the same when it is sent again, and at most these many more. */
export const MAX_ATTEMPTS = 4;
export const RETRY_FIRST_MS = 200;
export const RETRY_MAX_MS = 5_000;
/** Azure's Retry-After is heeded up to this. */
export const RETRY_AFTER_MAX_MS = 30_000;
export const MAX_AZURE_ANSWER_BYTES = 8 * 1024 * 1024;
export const METADATA_TIMEOUT_MS = 2_000;
export const METADATA_ATTEMPTS = 3;
export const MAX_METADATA_BYTES = 64 * 1024;
/** A token is read anew when it holds for less than this. */
export const REFRESH_BEFORE_MS = 5 * 60_000;
/** A token that holds for less is not used any more. */
export const LAST_USE_MS = 30_000;
/** Machines of one scale set that are read: Azure's own limit is 1000. */
export const MAX_INSTANCES = 1_100;
/** How often a scale set or an operation is looked at while it is waited for: at first, and at most. An outcome lists at most 256 calls. */
export const LOOK_FIRST_MS = 1_000;
export const LOOK_MAX_MS = 5_000;
/** How often a scale set is looked at while its machines are upgraded. */
export const DEPLOY_LOOK_MAX_MS = 15_000;
/** An upgrade in which not one more machine is well after this long does not get well. */
export const STUCK_AFTER_MS = 20 * 60_000;
/** Reads may still show what was before for this long after a change: Resource Manager caches. */
export const SETTLES_WITHIN_MS = 10_000;
/** A change that was on its way when the agent stopped has arrived by then, or never will. */
export const IN_FLIGHT_MS = 5_000;
/** How long `doctor` waits for a connection. */
export const REACH_TIMEOUT_MS = 3_000;
export const MAX_CHAIN_BYTES = 64 * 1024;
/** Notes of operations and of bytes to be signed that are kept; older ones belong to commands long decided. */
export const MAX_NOTES = 64;
export const MAX_NOTE_BYTES = 64 * 1024;
