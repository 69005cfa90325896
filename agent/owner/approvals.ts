import type { Policy } from "../../policy/policy.ts";
import type { RefusalCode } from "../../policy/refusal.ts";
import type { EntryBody } from "../audit/entry.ts";
import { DiskError } from "../host/host.ts";
import { MAX_APPROVAL_FILE_BYTES, MAX_APPROVALS_IN_FILE } from "../limits.ts";
import { APPROVAL_NAMESPACE, type Approvable, approvalId, approvalMessage } from "../wire/approval.ts";
import { digestOf } from "../wire/envelope.ts";
import { splitSshSignatures, verifySshSignature } from "../wire/sshsig.ts";
import type { OwnersDisk, OwnersFolder } from "./folder.ts";

/** One signature out of the owner's folder, judged. It counts when `code` is null; then `person` says whose it is. */
export type Judged = {
  /** `sha256:`, over the signature's base64, or over the whole file where no block could be told. */
  readonly digest: string;
  /** The base64 without armor and line ends, of one that counts; null else: a refusal is a small entry. */
  readonly signature: string | null;
  readonly key: string | null;
  readonly person: string | null;
  readonly code: RefusalCode | null;
};
type ApprovalCode = Extract<RefusalCode, `approval.${string}`>;

/**
 * The signatures in `approvals/ID.sig` and in `approvals/ID.PERSON.sig` of each person of the policy, judged by the policy's people.
 * Nothing is listed: the names are known. Who may write there is not looked at, for a signature speaks for itself; a link, a FIFO or a
 * file that is too long counts as none. `asked`: whom the rule asks; null when any of the people may say yes.
 */
export function readApprovals(
  { disk, at }: OwnersFolder,
  policy: Pick<Policy, "people" | "cluster">,
  what: Approvable,
  asked: readonly string[] | null,
): readonly Judged[] {
  const message = approvalMessage(policy.cluster, what);
  const id = approvalId(what);
  const judged = new Map<string, Judged>();
  for (const name of [id, ...Object.keys(policy.people).map((person) => `${id}.${person}`)]) {
    const read = readBlocks(disk, `${at.directory}/approvals/${name}.sig`);
    const found =
      "code" in read
        ? [nobody(read.digest, read.code)]
        : read.blocks.map((block) => judge(block, message, policy, asked));
    for (const one of found) judged.set(one.digest, one);
  }
  return [...judged.values()];
}

/** Whose approvals count. */
export function approvers(judged: readonly Judged[]): ReadonlySet<string> {
  return new Set(judged.flatMap(({ code, person }) => (code === null && person !== null ? [person] : [])));
}

/** Its entry. */
export function approvalBody(what: Approvable, judged: Judged): Extract<EntryBody, { kind: "approval" }> {
  return { kind: "approval", approves: approvalId(what), ...judged };
}

function nobody(digest: string, code: ApprovalCode): Judged {
  return { digest, signature: null, key: null, person: null, code };
}

type Blocks = { readonly blocks: readonly string[] } | { readonly digest: string; readonly code: ApprovalCode };

function readBlocks(disk: OwnersDisk, path: string): Blocks {
  try {
    const { bytes, stat } = disk.read(path, MAX_APPROVAL_FILE_BYTES);
    if (stat.kind !== "file") return { digest: digestOf(path), code: "approval.unreadable" };
    const split = splitSshSignatures(Buffer.from(bytes).toString("latin1"), MAX_APPROVALS_IN_FILE);
    return "fault" in split ? { digest: digestOf(bytes), code: "approval.form" } : split;
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    // No folder, or no such file: nobody has said anything.
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return { blocks: [] };
    return { digest: digestOf(path), code: "approval.unreadable" };
  }
}

function judge(
  block: string,
  message: Uint8Array,
  policy: Pick<Policy, "people">,
  asked: readonly string[] | null,
): Judged {
  const signature = block.split("\n").slice(1, -1).join("");
  // Not over the armor, so that the same signature in other lines is the same one.
  const digest = digestOf(signature);
  const verified = verifySshSignature(block, message, APPROVAL_NAMESPACE);
  if ("fault" in verified) return nobody(digest, `approval.${verified.fault}`);
  const { key } = verified;
  const person = Object.entries(policy.people).find(([, theirs]) => theirs === key)?.[0] ?? null;
  // A stranger's key is not kept: whoever may write there decides how long it is.
  if (person === null) return nobody(digest, "approval.person");
  if (asked !== null && !asked.includes(person)) return { ...nobody(digest, "approval.not-asked"), key, person };
  return { digest, signature, key, person, code: null };
}
