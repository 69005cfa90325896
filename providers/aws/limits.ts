/** Limits of the AWS provider, each with its unit in its name. */
export const AWS_CALL_TIMEOUT_MS = 15_000;
/** One attempt of a read, or of a change with a token, and at most these many more. */
export const MAX_ATTEMPTS = 4;
export const RETRY_FIRST_MS = 200;
export const RETRY_MAX_MS = 5_000;
export const MAX_AWS_ANSWER_BYTES = 8 * 1024 * 1024;
export const METADATA_TIMEOUT_MS = 1_000;
export const METADATA_ATTEMPTS = 3;
export const MAX_METADATA_BYTES = 16 * 1024;
/** A metadata token is used at once and for one reading. */
export const METADATA_TOKEN_SECONDS = 60;
/** Credentials are read anew when they hold for less than this; EC2 has new ones at least five minutes before. */
export const REFRESH_BEFORE_MS = 5 * 60_000;
/** Credentials that hold for less are not used any more. */
export const LAST_USE_MS = 30_000;
/** Pages of one listing that are read. */
export const MAX_PAGES = 20;
/** How often a group is read while it is waited for: at first, and at most. An outcome lists at most 256 calls. */
export const LOOK_FIRST_MS = 1_000;
export const LOOK_MAX_MS = 5_000;
/** Reads may still show the count from before this long after it was changed: AWS promises no more than that it will come. */
export const SETTLES_WITHIN_MS = 20_000;
/** How often a refresh is looked at. An outcome lists at most 256 calls. */
export const DEPLOY_LOOK_MAX_MS = 15_000;
/** A refresh in which nothing moved for this long does not get well. */
export const STUCK_AFTER_MS = 20 * 60_000;
/** Instances that are asked about at once. */
export const INSTANCES_AT_ONCE = 100;
/** How long `doctor` waits for a connection. */
export const REACH_TIMEOUT_MS = 3_000;
/** How long it waits for all that it tries. */
export const LOOK_WITHIN_MS = 25_000;
/** A change that was on its way when the agent stopped has arrived by then, or never will. */
export const IN_FLIGHT_MS = 5_000;
/** In place of a command's id in the user agent, for what `doctor` asks. */
export const DOCTOR = "doctor";
