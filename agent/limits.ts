/** Every limit of the agent, with its unit in its name. */
export const MAX_COMMAND_BYTES = 16 * 1024;
export const MAX_COMMAND_DEPTH = 8;
export const COMMAND_LIFETIME_MAX_SECONDS = 24 * 3600;
/** A command id and its `iat` are of the same time, but for so much: a vendor may make ids ahead. */
export const ID_TIME_MAX_SECONDS = 24 * 3600;
export const CLOCK_SKEW_SECONDS = 60;
export const CLOCK_JUMP_MAX_SECONDS = 60;
export const MAX_COMMANDS_PER_POLL = 16;
export const MAX_COMMANDS_PER_HOUR = 600;
/** What an hour's commands may cost the owner's disk: 600 refusals of full length. A longer command counts for more of them. */
export const MAX_INTAKE_BYTES_PER_HOUR = MAX_COMMANDS_PER_HOUR * 2048;
export const MAX_RUNNING_COMMANDS = 8;
export const COMMAND_DEADLINE_SECONDS = 300;
/** A deploy replaces machine after machine, each of which must get well. Told to stop, the agent leaves it where it is: it is resumed. */
export const DEPLOY_DEADLINE_SECONDS = 4 * 3600;
export const MAX_ENTRY_BYTES = 64 * 1024 - 1;
export const MAX_REFUSAL_ENTRY_BYTES = 2048;
export const MAX_POLICY_BYTES = 256 * 1024;
export const MAX_CONFIG_BYTES = 64 * 1024;
/** What golang.org/x/mod/sumdb/note takes, too. */
export const MAX_MANIFEST_BYTES = 1_000_000;
export const MAX_MANIFEST_DEPTH = 8;
/** In an answer: each byte of its line may be escaped once, as JSON does with quotes. */
export const MAX_MANIFEST_ANSWER_BYTES = 2 * MAX_MANIFEST_BYTES + 64 * 1024;
/** How long reading one may take, from wherever it is. */
export const MANIFEST_TIMEOUT_SECONDS = 30;
export const MAX_TOKEN_BYTES = 8 * 1024;
export const TOKEN_LIFETIME_MAX_SECONDS = 24 * 3600;
export const MAX_ANSWER_BYTES = 1024 * 1024;
export const MAX_CSR_BYTES = 16 * 1024;
export const MAX_CSR_FILES = 1000;
export const MAX_ENTRIES_PER_REPORT = 200;
export const CERTIFICATE_LIFETIME_SECONDS = 24 * 3600;
export const CERTIFICATE_GRACE_SECONDS = 7 * 24 * 3600;
export const CHECKPOINT_INTERVAL_SECONDS = 3600;
/** What rates may look back on, a week, and a day more. */
export const LOG_KEPT_MIN_MS = 8 * 24 * 3600 * 1000;
export const BALLAST_BYTES = 1024 * 1024;
export const POLL_HOLD_SECONDS = 20;
export const REQUEST_TIMEOUT_SECONDS = 30;
/** While an answer is due: a connection on which so many PINGs in a row went unanswered is dead. */
export const PING_EVERY_SECONDS = 5;
export const PINGS_UNANSWERED_MAX = 3;
/** A poll's answer that was waited for longer than this says nothing of now: commands in it wait for one more round trip. */
export const CONTACT_FRESH_SECONDS = 1;
/** How long the control plane may take until it holds an intent: before that nothing is called. */
export const INTENT_HEARD_SECONDS = 60;
export const BACKOFF_MIN_SECONDS = 1;
export const BACKOFF_MAX_SECONDS = 60;
/** How long an intent without an outcome is asked about before it is `unknown`. */
export const RECOVERY_DEADLINE_SECONDS = 3600;
/** Of one certificate request: what is issued must fit the outcome's entry. */
export const MAX_CSR_NAMES = 64;
export const MAX_CSR_NAMES_BYTES = 4096;
/** Refused trust statements on record: more are refused without an entry of their own. */
export const MAX_REFUSED_TRUST_PER_HOUR = 16;
/** Trust statements that begin to wait: each is on record whole, up to MAX_TRUST_BYTES. */
export const MAX_WAITING_TRUST_PER_HOUR = 2;
/** Ids that the vendor took back and that are remembered; the oldest go first. */
export const MAX_CANCELLED = 4096;
/** One armored SSH signature. The longest that is taken, ECDSA P-521, has about 700. */
export const MAX_SSH_SIGNATURE_BYTES = 8 * 1024;
/** What a proxy may answer to CONNECT before its head ends. */
export const MAX_PROXY_HEAD_BYTES = 8 * 1024;
export const MAX_PROXY_CREDENTIALS_BYTES = 1024;
/** How long doctor looks at one thing that others answer for. */
export const DOCTOR_LOOK_SECONDS = 10;
/** So long nothing was done: then memory is given back, and again from time to time. */
export const REST_AFTER_SECONDS = 5;
export const REST_AGAIN_SECONDS = 600;
/** A provider tries each read of each rule, one after another where they go to one service. */
export const DOCTOR_PROVIDER_SECONDS = 30;
/** Commands that wait for approvals at a time; one more is refused. */
export const MAX_WAITING_COMMANDS = 16;
/** Of one file in `approvals/`, and of the signatures in it. */
export const MAX_APPROVAL_FILE_BYTES = 64 * 1024;
export const MAX_APPROVALS_IN_FILE = 16;
/** Of `on` and `suspended`. */
export const MAX_SWITCH_BYTES = 4096;
/** What was read of an owner's folder in a bucket decides nothing once it is older than this. */
export const MAX_OWNER_VIEW_SECONDS = 30;
/** How often it is read when no command does. */
export const BUCKET_LOOK_SECONDS = 10;
/** How long reading the policy, or the switch, may take; and all approvals together, so many at once. */
export const BUCKET_REFRESH_TIMEOUT_SECONDS = 10;
export const BUCKET_APPROVALS_SECONDS = 5;
export const BUCKET_LANES = 8;
/** An approval goes on being read so long after it was asked for. */
export const APPROVAL_ASKED_SECONDS = 60;
/** Approvals that are looked for in a bucket at once. */
export const MAX_BUCKET_APPROVALS = 256;
/** Signatures on record for one thing that waits: more are judged all the same, and not recorded. */
export const MAX_RECORDED_APPROVALS = 32;
/** While something runs or waits for people, a poll is held this long: an approval acts only after an answer of the control plane. */
export const WAITING_HOLD_SECONDS = 2;
/** A trust statement that waits must fit an entry. */
export const MAX_TRUST_BYTES = 48 * 1024;
/** Trust statements that an agent keeps, in number and in bytes: what it stores, it reads again. */
export const MAX_TRUST_STATEMENTS = 1000;
export const MAX_TRUST_CHAIN_BYTES = 2 * 1024 * 1024;
/** Trust statements that are looked at in an hour; those beyond come with a later poll. */
export const MAX_TRUST_PER_HOUR = 64;
/** After a witness did not cosign, it is asked again within this. */
export const WITNESS_RETRY_MAX_SECONDS = 15;
/** How often the owner's folder is looked at when no command does. */
export const LOOK_SECONDS = 2;
/** How often the file of numbers for a monitoring is written while nothing changes: a collector reads it each 15 s or less often. */
export const METRICS_SECONDS = 15;
/** Of a cloud's own log, `audit reconcile`: one file unpacked, one event, one file of checksums; and how deep an event nests. */
export const MAX_TRAIL_FILE_BYTES = 1024 * 1024 * 1024;
export const MAX_TRAIL_EVENT_BYTES = 2 * 1024 * 1024;
export const MAX_TRAIL_DIGEST_BYTES = 16 * 1024 * 1024;
export const MAX_TRAIL_DEPTH = 64;
/** Events of one file that are held until it has ended, where the cloud says one call in several: a larger file is split. */
export const MAX_TRAIL_GROUPED_BYTES = 256 * 1024 * 1024;
/** Folders below each other. */
export const MAX_TRAIL_FOLDERS_DEEP = 32;
/** Commands and operations of the log, and calls by the role, that are held in memory at a time; more needs a shorter period. */
export const MAX_RECONCILED_OPERATIONS = 1_000_000;
export const MAX_RECONCILED_CALLS = 1_000_000;
/** Calls and operations that are shown; more are counted. */
export const MAX_LISTED_CALLS = 1000;
/** How late the cloud may deliver an event. CloudTrail: about five minutes on average, fifteen as a rule, without a promise. */
export const TRAIL_LATE_SECONDS = 15 * 60;
/** Of `log/head` in the owner's bucket. */
export const MAX_HEAD_BYTES = 4 * 1024 * 1024;
/** How long putting it may take, all its calls together: then nothing is changed. */
export const BUCKET_HEAD_SECONDS = 30;
/** How far back a head names intents: the longest window of a rate is a week. */
export const HEAD_INTENTS_MS = 8 * 24 * 3600 * 1000;
/** Of a closed segment, read as a whole: the config's greatest size and one group of entries. */
export const MAX_SEGMENT_BYTES = 80 * 1024 * 1024;
/** Sending one segment to the owner's bucket, and reading it back. */
export const BUCKET_UPLOAD_SECONDS = 120;
/** What a process that ends takes for its last entries: a machine that goes down gives it 90. */
export const BUCKET_LAST_SECONDS = 20;
/** How often the head in the owner's bucket follows a log that grows by what changes nothing. */
export const HEAD_EVERY_SECONDS = 60;
/** A loop of the agent that has not come a step further for so long hangs: its longest step is a held poll or a pause after a failure. */
export const LOOP_SILENT_MAX_SECONDS = 180;
/** From being told to end until the end: a command's deadline, and what is left to put on record. TimeoutStopSec of the unit is as long. */
export const STOP_DEADLINE_SECONDS = COMMAND_DEADLINE_SECONDS + 45;
/** Groups of an inventory that the policy shares. */
export const MAX_SHARED_GROUPS = 64;
/** How often what the groups run is read anew, where the policy shares it; after each outcome too. */
export const INVENTORY_SECONDS = 3600;
