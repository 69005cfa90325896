/** Limits of the provider for Google Cloud, each with its unit in its name. */
export const GCP_CALL_TIMEOUT_MS = 15_000;
/** One attempt of a read, or of a change with a token, and at most these many more. */
export const MAX_ATTEMPTS = 4;
export const RETRY_FIRST_MS = 200;
export const RETRY_MAX_MS = 5_000;
export const MAX_GCP_ANSWER_BYTES = 8 * 1024 * 1024;
export const METADATA_TIMEOUT_MS = 1_000;
export const METADATA_ATTEMPTS = 3;
export const MAX_METADATA_BYTES = 16 * 1024;
/** A token is read anew when it holds for less than this; the metadata server has a new one some minutes before. */
export const REFRESH_BEFORE_MS = 225_000;
/** A token that holds for less is not used any more. */
export const LAST_USE_MS = 30_000;
/** Pages of one listing that are read. */
export const MAX_PAGES = 20;
/** How often something is read while it is waited for: at first, and at most. An outcome lists at most 256 calls. */
export const LOOK_FIRST_MS = 1_000;
export const LOOK_MAX_MS = 5_000;
/** How often a group is looked at while it is updated. */
export const DEPLOY_LOOK_MAX_MS = 15_000;
/** An update in which not one more machine is well after this long does not get well. */
export const STUCK_AFTER_MS = 20 * 60_000;
/** Reads may still show what was before for this long after a change: Google promises no more than that it will come. */
export const SETTLES_WITHIN_MS = 20_000;
/** A change that was on its way when the agent stopped has arrived by then, or never will. */
export const IN_FLIGHT_MS = 5_000;
