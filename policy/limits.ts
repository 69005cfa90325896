/** Limits of the policy file, with units. */
export const MAX_POLICY_BYTES = 256 * 1024;
/** More errors than this help nobody. */
export const MAX_POLICY_ERRORS = 100;
export const MAX_COUNT = 1_000_000;
export const MAX_TTL_SECONDS = 7 * 24 * 3600;
export const MAX_VALIDITY_SECONDS = 400 * 24 * 3600;
/** People whom one rule may need: each approval stands in the log whole. */
export const MAX_NEEDED_APPROVALS = 16;
/** What a FIDO key was made for, such as `ssh:`. A key must fit wherever it is named. */
export const MAX_SSH_APPLICATION_BYTES = 256;
/** Rules, and tests, of one file: more than anybody reads. */
export const MAX_POLICY_ITEMS = 2000;
/** A refusal is one entry of at most 2 KiB: its sentences are cut to these lengths, in UTF-16 code units. */
export const MAX_SENTENCE_CHARS = 400;
export const MAX_FACT_CHARS = 200;
/** A role's policies as `aws iam get-account-authorization-details` prints them, for an account with thousands of roles. */
export const MAX_ROLE_BYTES = 16 * 1024 * 1024;
