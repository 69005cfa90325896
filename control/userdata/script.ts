import { Complaint } from "../terminal.ts";
import { INSTALL, LOCAL_GROUPS, UNIT } from "./texts.ts";

/** Where cloud-init puts what the script takes; gone when it has worked. */
export const STAGE = "/var/lib/cloud/reeve-install";
/** cloud-init runs what lies here at each boot, and takes its exit code as its own. */
export const SCRIPT_PATH = "/var/lib/cloud/scripts/per-boot/reeve-install";

export type Fetched = {
  /** `https://…`, `s3://…`, `gs://…`, or a path of the image; null: the image has it where the unit looks. */
  readonly binary: string | null;
  /** Lower-case hex. */
  readonly sha256: string;
  /** The owner's folder, where it is a directory. */
  readonly owner: string | null;
};

/** The script that installs, with these values in it. None of them can be anything but one word of the shell. */
export function installScript({ binary, sha256, owner }: Fetched): string {
  const program = unitProgram();
  const values: Readonly<Record<string, string>> = {
    "@BINARY@": binary ?? program,
    "@SHA256@": sha256,
    "@PROGRAM@": program,
    "@OWNER@": owner ?? "",
    "@STAGE@": STAGE,
  };
  return INSTALL.replace(/@[A-Z0-9]+@/g, (name) => {
    const value = values[name];
    if (value === undefined) throw new Error(`install.sh asks for ${name}`);
    return quoted(value);
  });
}

/** The unit without its comments, which cost a quarter of what user-data may hold. */
export function unitText(): string {
  return `# deploy/systemd/reeve.service, without its comments.\n${withoutComments(UNIT)}`;
}

/** The drop-in for groups of the local provider. */
export function localGroupsText(): string {
  return withoutComments(LOCAL_GROUPS);
}

/** The executable that the unit starts. */
function unitProgram(): string {
  const found = /^ExecStart=.* (\/[A-Za-z0-9/._-]+\/reeve) run --config \/etc\/reeve\/reeve\.yaml$/m.exec(UNIT)?.[1];
  if (found === undefined) throw new Error("reeve.service starts no executable that is known here");
  return found;
}

function withoutComments(text: string): string {
  const lines = text.split("\n").filter((line) => !line.startsWith("#"));
  return lines.join("\n");
}

/** One word of a POSIX shell (XCU 2.2.2): nothing inside single quotes means anything but itself. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Printable ASCII that a URL may hold; no quote, space, backslash or control character. RFC 3986's marks, percent-escapes among them. */
const URL_WORD = /^[A-Za-z0-9._~:/?#[\]@!$&()*+,;=%-]+$/;
const BUCKET = /^(?:s3|gs):\/\/[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](?:\/[A-Za-z0-9._=+-]+)+$/;
/** What a presigned URL of S3, Cloud Storage (V4, V2) or Azure (SAS) has in its query. */
const SIGNED = /^(?:x-amz-.*|x-goog-.*|sig|signature)$/i;
const IS_SIGNED = "is signed, and the signature would stay readable: in user-data, in the process list and in logs";
const MAX_PLACE_CHARS = 2048;

/** The place of the executable as it was written, when it is one that the machine can be told of. */
export function binaryPlace(text: string): string {
  const why = placeFault(text);
  if (why === null) return text;
  throw new Complaint(
    2,
    "render user-data",
    `--binary ${why}`,
    why === IS_SIGNED
      ? "Its SHA-256 is checked, so that the URL need not be secret. Name the bucket (s3://BUCKET/KEY, gs://BUCKET/OBJECT), which the machine reads by its own role, or a URL without a signature."
      : "Write https://HOST/PATH, s3://BUCKET/KEY, gs://BUCKET/OBJECT, or an absolute path of the image.",
  );
}

function placeFault(text: string): string | null {
  if (text.length > MAX_PLACE_CHARS) return `is over ${MAX_PLACE_CHARS} characters`;
  if (text.startsWith("/")) return isPlainPath(text) ? null : "is no plain absolute path: letters, digits, / . _ -";
  if (text.startsWith("s3://") || text.startsWith("gs://"))
    return BUCKET.test(text) && !text.includes("/../") ? null : "names no object of a bucket";
  if (!text.startsWith("https://")) return "is neither https://, s3:// or gs:// nor an absolute path";
  const url = URL_WORD.test(text) ? URL.parse(text) : null;
  if (url === null || url.hostname === "") return "is no URL";
  if (`${url.username}${url.password}` !== "" || text.includes("@"))
    return "holds credentials, which would stay readable";
  if ([...url.searchParams.keys()].some((name) => SIGNED.test(name))) return IS_SIGNED;
  return url.hash === "" && !text.includes("#") ? null : "has a fragment";
}

/** A path that needs no thought wherever it is written. */
export function isPlainPath(text: string): boolean {
  return /^(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*|\/\.[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/.test(text) && text.length <= 255;
}
